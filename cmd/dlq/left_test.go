package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A letter that keeps dying is left alone after generation 3.
func TestReplayLeavesWhatKeepsDying(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.settled(event.Courier, w.Put(only(event.Courier, "ann")))
	id := w.letters()[0].ID
	for generation := 1; generation <= 3; generation++ {
		w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 1, "1 letter: 1 replayed (1 died again), 0 left")
		l := w.letters()
		if len(l) != 1 || l[0].ID != id || l[0].Generation != generation || len(l[0].History) != generation+1 {
			t.Fatalf("after replay %d: %+v", generation, l)
		}
	}
	calls := w.Fake.Report().Courier.Calls
	for _, args := range [][]string{{}, {"--trial", "0"}, {"--stale"}} {
		w.dlq("", append([]string{"replay", "--all", "--yes"}, args...)...).want(t, 1, "1 left: replayed as often as --max-generation allows", "nothing to replay")
	}
	if got := w.Fake.Report().Courier.Calls; got != calls || len(w.letters()) != 1 {
		t.Errorf("%d calls after %d", got, calls)
	}
	w.dlq("", "groups").want(t, 0, "3 times: 1")
	w.dlq("", "show", id).want(t, 0, "replayed     3 times")
	w.Fake.ClearRules()
	w.dlq("", "replay", "--all", "--yes", "--max-generation", "4").want(t, 0, "1 delivered")
}

// Trials that fail do not count, however many there are.
func TestFailedTrialsDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.settled(event.Courier, w.Put(only(event.Courier, "ann"), only(event.Courier, "bob")))
	for range 5 {
		w.dlq("", "replay", "--all", "--yes", "--trial", "1").want(t, 1, "TRIAL FAILED: 1 replayed, 1 died again", "1 left: the trial died again")
	}
	tries := 0
	for _, l := range w.letters() {
		if l.Generation != 0 {
			t.Errorf("generation %d", l.Generation)
		}
		tries += l.Trials
	}
	if tries != 5 {
		t.Errorf("%d trials noted, want 5", tries)
	}
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 1, "2 died again")
	for _, l := range w.letters() {
		if l.Generation != 1 || l.Trials != 0 {
			t.Errorf("generation %d after %d trials, want 1 after none", l.Generation, l.Trials)
		}
	}
	w.Fake.ClearRules()
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "trial passed", "2 letters: 2 replayed (2 delivered), 0 left")
}

// Who logged in again since has a newer token: the old one stays where it is.
func TestReplayLeavesTheSuperseded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, provider := range event.Providers() {
		code := map[string]string{event.CleverTap: "531", event.Courier: "400"}[provider]
		if err := w.Fake.AddRules(sandbox.Rule{Provider: provider, Token: sandbox.Match{Prefix: "old"}, Effect: sandbox.Refuse, Code: code}); err != nil {
			t.Fatal(err)
		}
	}
	w.Worker()
	event1 := func(token, who, more string) string {
		return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","type":"fcm","token":"%[2]s"%[3]s}`, who, token, more)
	}
	last := w.Put(
		event1("old-ann", "ann", ""), event1("old-bob", "bob", ""), event1("old-cyd", "cyd", `,"device":{"device_id":"1"}`), event1("old-dan", "dan", ""),
		event1("old-eve", "eve", `,"registered_at":"2026-01-02T00:00:00Z"`), event1("old-fay", "fay", ""),
		event1("new-ann", "ann", ""),                                        // came later
		event1("new-bob", "bob", `,"destinations":["courier"]`),             // for Courier alone
		event1("new-cyd", "cyd", `,"device":{"device_id":"2"}`),             // on another device
		strings.Replace(event1("new-dan", "dan", ""), "fcm", "apns", 1),     // of another type
		event1("new-eve", "eve", `,"registered_at":"2026-01-01T00:00:00Z"`), // came later, and is older by its own word
		event1("new-fay", "fay", `,"type":"wrong"`),                         // no event at all
	)
	for _, provider := range event.Providers() {
		w.settled(provider, last)
	}
	w.Fake.ClearRules()
	w.dlq("", "purge", "--code", "invalid_event", "--yes").want(t, 0)
	w.Fake.Reset()
	done := w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--max-age", "0")
	done.want(t, 1, "12 letters: 9 replayed (9 delivered), 3 left", "left: a newer event of the same identity, type and device is stored", "--stale")
	for provider, want := range map[string][]string{
		event.CleverTap: {"old-bob", "old-cyd", "old-dan", "old-eve", "old-fay"},
		event.Courier:   {"old-cyd", "old-dan", "old-eve", "old-fay"},
	} {
		var got []string
		for token := range w.accepted(provider) {
			got = append(got, token)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s got %q, want %q", provider, got, want)
		}
	}
	// A replay that is stored later is no newer event.
	w.dlq("", "replay", "--all", "--yes", "--stale", "--max-age", "0").want(t, 0, "3 letters: 3 replayed (3 delivered), 0 left")
}

func TestReplayLeavesTheOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.Worker()
	w.Die(
		dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "ann")), FailedAt: time.Now().Add(-8 * 24 * time.Hour)},
		dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(strings.Replace(only(event.Courier, "bob"), "{", `{"registered_at":"2020-01-01T00:00:00Z",`, 1))},
		dlq.Letter{Provider: event.Courier, Code: "expired", Body: []byte(only(event.Courier, "cyd")), FailedAt: time.Now().Add(-2 * time.Hour)},
		dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "dan")), FailedAt: time.Now().Add(-6 * 24 * time.Hour)},
	)
	w.dlq("", "replay", "--all", "--yes").want(t, 1, "2 left: older than --max-age", "1 left: older than --max-age", "1 replayed (1 delivered), 3 left")
	w.dlq("", "replay", "--all", "--yes", "--max-age", "180h").want(t, 1, "1 replayed (1 delivered), 2 left") // cyd
	w.dlq("", "replay", "--all", "--yes", "--stale").want(t, 0, "2 replayed (2 delivered), 0 left")
}

// What its provider could still not take is left, until it is corrected; the
// history keeps a note of what was changed.
func TestReplayCorrects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.settled(event.Courier, w.Put(`{"user_id":"u1","token":"secret-1","type":"wns","destinations":["courier"]}`, `{"user_id":"u2","token":"secret-2","type":"wns","destinations":["courier"]}`))

	done := w.dlq("", "replay", "--all", "--yes")
	done.want(t, 1, "2 left: the provider could still not take the event", "provider_key: absent", "nothing to replay")
	done.lacks(t, "secret")
	w.dlq("", "replay", "--all", "--set", "provider_keys=apn").want(t, 2, `--set is "provider_keys" (its value is not shown), names no field of an event`)
	w.dlq("", "replay", "--all", "--set", "token").want(t, 2, `must be field=value`)
	w.dlq("", "replay", "--all", "--yes", "--set", "type=secret").want(t, 1, "2 left: the provider could still not take the event", "type: an unknown word")

	// It dies again, and the note stays.
	w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--set", "provider_key=apn", "--set", "device.platform=ios").want(t, 1, "2 died again")
	l := w.letters()[0]
	if len(l.History) != 2 || !slices.Equal(l.History[0].Edited, []string{"provider_key", "device.platform"}) || l.History[1].Edited != nil {
		t.Errorf("history %+v", l.History)
	}
	w.dlq("", "show", l.ID).want(t, 0, "died of invalid_event", "then changed: provider_key, device.platform", "died of http_400")
	w.Fake.ClearRules()
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "2 delivered")
	for _, record := range w.Fake.Accepted(event.Courier) {
		if !strings.Contains(string(record.Body), `"apn"`) || !strings.Contains(string(record.Body), `"ios"`) {
			t.Errorf("%s", record.Body)
		}
	}
}

// editor is a program that does to the file what the script says.
func editor(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return "EDITOR=" + file
}

func TestReplayEdits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier", "PATH="+os.Getenv("PATH"))
	w.Worker()
	w.Die(
		dlq.Letter{Provider: event.Courier, Code: "invalid_event", Body: []byte(`{"token":"t1","user_id":7,"type":"fcm"}`)},
		dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "ann"))},
		dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "bob"))},
	)
	w.Set(editor(t, "exit 3"))
	w.dlq("", "replay", "--all", "--yes", "--edit").want(t, 1, "exit status 3")
	// The first try leaves a number where a text is required, and is asked again.
	w.Set(editor(t, `if [ -e "$0.again" ]; then sed -i 's/: 7/: "seven"/' "$1"; else touch "$0.again"; fi; sed -i '/letter 3/,$d' "$1"`))
	w.dlq("y\n", "replay", "--all", "--yes", "--edit").want(t, 1, "letter 1: user_id: a number; a string is required", "Edit again?",
		"1 left: the provider could still not take the event: correct it with --set or --edit (event: it was taken out of the edited file)", "2 replayed (2 delivered), 1 left")
	if got := w.accepted(event.Courier); got["t1"] != 1 || got["ann"] != 1 || got["bob"] != 0 {
		t.Errorf("%v", got)
	}
	var many []dlq.Letter
	for i := range 51 {
		many = append(many, dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, fmt.Sprint(i)))})
	}
	w.Die(many...)
	w.dlq("", "replay", "--all", "--yes", "--edit").want(t, 1, "more than 50 letters match")
}

func TestReplayAsks(t *testing.T) {
	t.Parallel()
	w := filled(t)
	w.dlq("", "replay").want(t, 2, "--all is not set and there is no filter")
	w.dlq("", "replay", "--all", "--max-age", "x").want(t, 2, `--max-age is "x", must be a duration`)
	w.dlq("", "replay", "--all").want(t, 1, "4 letters in 3 groups", "2  clevertap 531", "Replay 3 letters, up to 5 of each group first? [y/N]", "nobody answered")
	w.dlq("n\n", "replay", "--all", "--trial", "0").want(t, 1, "Replay 3 letters without a trial?", "nothing was changed")
	w.dlq("", "replay", "--code", "999", "--yes").want(t, 0, "no letters that match")
	if n := w.stored(consumer.EventsSubject + ".>"); n != 0 || len(w.letters()) != 4 {
		t.Errorf("%d replays", n)
	}
	if err := w.Broker.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	done := w.dlq("", "replay", "--all", "--yes")
	done.want(t, 1, "stream TOKENS is missing")
	if strings.Count(done.errors, "\n") != 1 {
		t.Errorf("%s", done.errors)
	}
}
