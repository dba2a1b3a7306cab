package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// fiveGroups are rules by which CleverTap refuses 5 × n events, each group for
// another reason, and the events: some good ones are among them, since a
// provider that refuses everything is held.
func fiveGroups(n int) (rules []sandbox.Rule, events []string) {
	for g, code := range []string{"530", "531", "534", "535", "533"} {
		prefix := string(rune('a'+g)) + "-"
		rules = append(rules, sandbox.Rule{Name: code, Provider: event.CleverTap, Token: sandbox.Match{Prefix: prefix}, Effect: sandbox.Refuse, Code: code})
		for i := range n {
			token := fmt.Sprintf("%s%05d", prefix, i)
			if events = append(events, only(event.CleverTap, token)); i%20 == 0 {
				events = append(events, only(event.CleverTap, "good-"+token))
			}
		}
	}
	return rules, events
}

// accepted counts how often the sandbox took each token of a provider.
func (w *world) accepted(provider string) map[string]int {
	counts := map[string]int{}
	for _, record := range w.Fake.Accepted(provider) {
		counts[record.Token]++
	}
	return counts
}

// The promise of the whole command: 10 000 letters in 5 groups, one of which is
// cured. That one is delivered whole; of each other 5 are tried, and no more.
func TestReplayTriesFirst(t *testing.T) {
	t.Parallel()
	const n = 2000
	w := newWorld(t, "PROVIDERS=clevertap")
	rules, events := fiveGroups(n)
	if err := w.Fake.SetRules(rules...); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.settled(event.CleverTap, w.Put(events...))
	if got := len(w.letters()); got != 5*n {
		t.Fatalf("%d letters, want %d", got, 5*n)
	}
	before := w.Fake.Report().CleverTap

	w.Fake.RemoveRule("531")
	done := w.dlq("", "replay", "--all", "--yes")
	done.want(t, 1, "trial passed: 5 replayed, none died", "2 000 delivered",
		"TRIAL FAILED: 5 replayed, 5 died again", "1 995 left: the trial died again",
		"10 000 letters: 2 020 replayed (2 000 delivered, 20 died again), 7 980 left")
	after := w.Fake.Report().CleverTap
	if got := after.Accepted - before.Accepted; got != n || after.Repeated != 0 {
		t.Errorf("the sandbox took %d, %d of them again; want %d once", got, after.Repeated, n)
	}
	for token, times := range w.accepted(event.CleverTap) {
		if !strings.HasPrefix(token, "b-") && !strings.HasPrefix(token, "good-") || times != 1 {
			t.Errorf("%s was taken %d times", token, times)
		}
	}
	for _, code := range []string{"530", "533", "534", "535"} {
		if got := after.Refused[code] - before.Refused[code]; got != 5 {
			t.Errorf("%d records of %s were sent, want 5", got, code)
		}
	}
	letters := w.letters()
	if len(letters) != 4*n {
		t.Errorf("%d letters are left, want %d", len(letters), 4*n)
	}
	for _, l := range letters {
		if l.Code == "531" || l.Generation != 0 {
			t.Errorf("letter %s: %s, generation %d: a trial that fails does not count", l.ID, l.Code, l.Generation)
		}
	}
	w.dlq("", "groups").want(t, 0, "8 000 letters in 4 groups", "never: 2 000")
}
