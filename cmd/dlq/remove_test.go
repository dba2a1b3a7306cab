package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestPurgeAsks(t *testing.T) {
	t.Parallel()
	w := filled(t)
	w.dlq("", "purge").want(t, 2, "--all is not set and there is no filter")
	w.dlq("", "purge", "--limit", "2").want(t, 2, "--all is not set")
	w.dlq("", "purge", "--code", "531").want(t, 1, "2  clevertap 531: CleverTap: 531: Invalid token", "Remove 2 letters for good? [y/N]", "nobody answered")
	w.dlq("no\n", "purge", "--code", "531").want(t, 1, "nothing was changed")
	if n := len(w.letters()); n != 4 {
		t.Fatalf("%d letters left", n)
	}
	w.dlq("", "purge", "--code", "999").want(t, 0, "no letters that match")
	w.dlq("y\n", "purge", "--code", "531").want(t, 0, "2 letters removed")
	w.dlq("user-cyd\nyes\n", "purge", "--user", "-").want(t, 0, "1 letter removed")
	w.dlq("", "purge", "--all", "--yes").want(t, 0, "1 letter removed")
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d letters left", n)
	}
	w.dlq("", "purge", "--all", "--yes").want(t, 0, "no letters\n")
}

// What is exported can be imported, for its own provider only.
func TestExportIsImported(t *testing.T) {
	t.Parallel()
	w := filled(t)
	file := filepath.Join(t.TempDir(), "letters.jsonl")
	w.dlq("", "export", "--provider", "clevertap", "-o", file).want(t, 0, "2 letters exported")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("%v, %v", info, err)
	}
	w.dlq("", "export", "-o", file).want(t, 1, "there is such a file already")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if all := w.dlq("", "export"); strings.Count(all.out, "\n") != 4 || !strings.HasPrefix(all.out, string(bytes.SplitAfter(text, []byte("\n"))[0])) {
		t.Errorf("%s", all.out)
	}
	if newest := w.dlq("", "export", "--limit", "1"); strings.Count(newest.out, "\n") != 1 || !strings.Contains(newest.out, "dan") {
		t.Errorf("%s", newest.out)
	}

	p, err := publisher.New(w.Broker.JS, publisher.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var letter publisher.ExportedLetter
		if err := json.Unmarshal(lines.Bytes(), &letter); err != nil {
			t.Fatal(err)
		}
		id, body, options, err := letter.Replay()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.PublishRaw(t.Context(), id, body, options...); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.stored(consumer.ProviderSubject(event.CleverTap)); n != 2 {
		t.Errorf("%d events came back, want 2", n)
	}
	if n := len(w.letters()); n != 4 {
		t.Errorf("%d letters left, want all 4", n)
	}
}

// everything is all that the broker keeps of the streams, as bytes.
func (w *world) everything() string {
	w.T.Helper()
	var all strings.Builder
	for _, name := range []string{consumer.EventsStream, consumer.LettersStream} {
		stream, err := w.Broker.JS.Stream(w.T.Context(), name)
		if err != nil {
			w.T.Fatal(err)
		}
		for seq := stream.CachedInfo().State.FirstSeq; seq <= stream.CachedInfo().State.LastSeq; seq++ {
			if m, err := stream.GetMsg(w.T.Context(), seq); err == nil {
				fmt.Fprintf(&all, "%s %s %v\n", m.Subject, m.Data, m.Header)
			}
		}
	}
	return all.String()
}

// A person is erased from both streams, and nobody else is; what was waiting
// counts as erased, by a worker when there is one.
func TestErase(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("worker %v", running), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=clevertap,courier")
			w.Die(dlq.Letter{Provider: "clevertap", Code: "531", Body: []byte(registration("ann"))},
				dlq.Letter{Provider: "courier", Code: "invalid_event", Body: []byte(`{"user_id":"user-ann"`)},
				dlq.Letter{Provider: "courier", Code: "http_400", Body: []byte(registration("bob"))})
			var worker *app.Worker
			waiting := map[string]int{event.CleverTap: 2, event.Courier: 3}
			if running {
				worker, _ = w.Worker()
				// Events that no worker asks for: both consumers are paused.
				for _, provider := range event.Providers() {
					if _, err := w.Broker.JS.PauseConsumer(t.Context(), consumer.EventsStream, provider, time.Now().Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
			}
			outcomes, err := publisher.ListenOutcomes(w.Broker.Conn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = outcomes.Close() })
			p, err := publisher.New(w.Broker.JS, publisher.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close(context.Background()) })
			if _, err := p.PublishRaw(t.Context(), "login-1", []byte(registration("ann")), publisher.ReportTo(outcomes.Subject())); err != nil {
				t.Fatal(err)
			}
			w.Put(registration("bob"), `{"user_id":"user-ann","object_id":"x","token":"t","type":"fcm"}`, only("courier", "ann"))

			w.dlq("secret", "erase", "--user", "secret").want(t, 2, "--user is a value (not shown)")
			w.dlq("", "erase").want(t, 2, "--user is not set")
			w.dlq("user-nobody\n", "erase", "--user", "-").want(t, 0, "nothing is stored of this person")
			w.dlq("user-ann\n", "erase", "--user", "-").want(t, 1, "2 letters and 3 events", "nobody answered")
			done := w.dlq("user-ann\ny\n", "erase", "--user", "-")
			done.want(t, 0, "erased: 2 letters and 3 events", "clevertap: 2 events had been waiting", "courier: 3 events had been waiting")
			done.lacks(t, "ann")
			if running {
				done.want(t, 0, "a worker has counted them")
			} else {
				done.want(t, 0, "this line is their record")
			}
			if all := w.everything(); strings.Contains(all, "ann") || strings.Count(all, "bob") < 6 {
				t.Errorf("left:\n%s", all)
			}
			for range event.Providers() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				report, err := outcomes.Next(ctx)
				cancel()
				if err != nil || report.Outcome != "erased" || report.ID != "login-1" {
					t.Errorf("%+v, %v", report, err)
				}
			}
			if !running {
				return
			}
			for provider, n := range waiting {
				if got := counter(t, worker, "tokenrelay_events_total", provider, "erased"); got != n {
					t.Errorf("%s: the metric tells %d erased, want %d", provider, got, n)
				}
			}
			for _, provider := range event.Providers() {
				if _, err := w.Broker.JS.ResumeConsumer(t.Context(), consumer.EventsStream, provider); err != nil {
					t.Fatal(err)
				}
			}
			brokertest.Eventually(t, "bob is delivered", func() bool {
				r := w.Fake.Report()
				return r.CleverTap.Accepted == 1 && r.Courier.Accepted == 1
			})
		})
	}
}

// By object id too, and what was delivered long ago is only history.
func TestEraseWhatWasDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker, _ := w.Worker()
	last := w.Put(registration("ann"), registration("bob"))
	w.settled(event.CleverTap, last)
	w.settled(event.Courier, last)
	w.dlq("user-x\nobject-ann\n", "erase", "--user", "-", "--object", "-", "--yes").want(t, 0, "erased: 0 letters and 1 event\n")
	if got := counter(t, worker, "tokenrelay_events_total", event.CleverTap, "erased"); got != 0 {
		t.Errorf("%d counted as erased, which had been delivered", got)
	}
	if strings.Contains(w.everything(), "ann") {
		t.Error("ann is left")
	}
}

// What a worker has in hand cannot be taken back: it is waited for, and the
// operator is told.
func TestEraseWhatIsInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	if _, err := consumer.Ensure(t.Context(), w.Broker.JS, consumer.Topology{Provision: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Broker.JS.DeleteConsumer(t.Context(), consumer.EventsStream, event.CleverTap); err != nil {
		t.Fatal(err)
	}
	w.Put(only(event.Courier, "ann"))
	c, err := w.Broker.JS.Consumer(t.Context(), consumer.EventsStream, event.Courier)
	if err != nil {
		t.Fatal(err)
	}
	message, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	w.dlq("user-ann\n", "erase", "--user", "-", "--yes", "--wait", "100ms").want(t, 1,
		"erased: 0 letters and 1 event", "courier: a worker has 1 event in hand", "run it again")

	// It dies while the next run waits: its letter goes as well.
	w.Put(only(event.Courier, "ann"))
	if message, err = c.Next(); err != nil {
		t.Fatal(err)
	}
	go func() {
		<-time.After(100 * time.Millisecond) // the run waits by now, or will not have to
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Body: message.Data()})
		_ = message.DoubleAck(context.Background())
	}()
	w.dlq("user-ann\n", "erase", "--user", "-", "--yes").want(t, 0, "erased: 1 letter and 1 event")
	if len(w.letters()) != 0 {
		t.Error("its letter is left")
	}
}

// counter reads a worker's metric of a provider and an outcome.
func counter(t *testing.T, worker *app.Worker, name, provider, outcome string) int {
	t.Helper()
	families, err := worker.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["provider"] == provider && labels["outcome"] == outcome {
				return int(metric.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("no %s of %s, %s", name, provider, outcome)
	return 0
}
