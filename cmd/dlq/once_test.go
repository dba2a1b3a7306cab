package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// shortMemory lets the stream forget message ids after a tenth of a second.
func (w *world) shortMemory() {
	w.T.Helper()
	stream, err := w.Broker.JS.Stream(w.T.Context(), consumer.EventsStream)
	if err != nil {
		w.T.Fatal(err)
	}
	settings := stream.CachedInfo().Config
	settings.Duplicates = 100 * time.Millisecond
	if _, err := w.Broker.JS.UpdateStream(w.T.Context(), settings); err != nil {
		w.T.Fatal(err)
	}
}

// halfReplay publishes a letter's replay and does not remove the letter, as a
// run does that is killed between the two.
func (w *world) halfReplay(l *dlq.Stored) {
	w.T.Helper()
	exported := l.Exported()
	id, body, options, err := exported.Replay()
	if err != nil {
		w.T.Fatal(err)
	}
	p, err := publisher.New(w.Broker.JS, publisher.Settings{})
	if err != nil {
		w.T.Fatal(err)
	}
	if _, err := p.PublishRaw(w.T.Context(), id, body, options...); err != nil {
		w.T.Fatal(err)
	}
	if err := p.Close(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// dead puts letters of Courier by hand, one a name.
func (w *world) dead(names ...string) {
	w.T.Helper()
	for _, name := range names {
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Reason: "Courier: HTTP 400: no", Body: []byte(only(event.Courier, name))})
	}
}

// once checks that Courier took each of these once, and nothing else.
func (w *world) once(names ...string) {
	w.T.Helper()
	got := w.accepted(event.Courier)
	for _, name := range names {
		if got[name] != 1 {
			w.T.Errorf("%s was taken %d times, want once", name, got[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		w.T.Errorf("taken as well: %v", got)
	}
}

// A replay whose letter was not removed any more is recognised, while the
// stream remembers its id and long after.
func TestReplayAfterACrash(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"within the window": false, "after the window": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			if forget {
				w.shortMemory()
			}
			w.Worker()
			w.dead("ann", "bob", "cyd")
			w.halfReplay(w.letters()[0])
			brokertest.Eventually(t, "ann is delivered", func() bool { return w.Fake.Report().Courier.Accepted == 1 })
			if forget {
				<-time.After(200 * time.Millisecond)
			}
			w.dlq("", "replay", "--all", "--yes").want(t, 0, "1 replayed already, by a run that was cut off", "2 replayed (2 delivered), 1 replayed before or by another run, 0 left")
			w.once("ann", "bob", "cyd")
			if n := len(w.letters()); n != 0 {
				t.Errorf("%d letters left", n)
			}
			w.dlq("", "replay", "--all", "--yes").want(t, 0, "no letters")
		})
	}
}

// The replay died, its new letter is there, the old one too: of the two only
// the new one is replayed.
func TestReplayOfALetterWithALeftover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.shortMemory()
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.dead("ann")
	w.halfReplay(w.letters()[0])
	brokertest.Eventually(t, "it dies again", func() bool { return len(w.letters()) == 2 })
	w.Fake.ClearRules()
	// Also where the events' stream has nothing to prove it by.
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.dlq("", "show", w.letters()[0].ID).want(t, 0, "2 letters of this id")
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "1 replayed (1 delivered), 1 replayed before or by another run, 0 left")
	w.once("ann")
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d letters left", n)
	}
}

// One death that was put twice, which happens when a worker crashes and the
// event comes again more than an hour later.
func TestReplayOfTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.Worker()
	stream, err := w.Broker.JS.Stream(t.Context(), dlq.Stream)
	if err != nil {
		t.Fatal(err)
	}
	settings := stream.CachedInfo().Config
	settings.Duplicates = 100 * time.Millisecond
	if _, err := w.Broker.JS.UpdateStream(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "it is stored twice", func() bool {
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", OriginSeq: 1_000_000, Body: []byte(only(event.Courier, "ann"))})
		return len(w.letters()) == 2
	})
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 0, "1 replayed (1 delivered), 1 replayed before or by another run, 0 left")
	w.once("ann")
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d letters left", n)
	}
}

// The stream remembers the id, and what stood under it was removed: believing
// "duplicate" would lose the event.
func TestReplayThatTheStreamRemembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.dead("ann", "bob")
	w.halfReplay(w.letters()[0])
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 1, "1 left: replayed within the last hour, and that replay was removed", "1 replayed (1 delivered), 1 left")
	w.once("bob")
	w.shortMemory()
	brokertest.Eventually(t, "the stream has forgotten it", func() bool {
		return strings.Contains(w.dlq("", "replay", "--all", "--yes", "--trial", "0").out, "1 replayed (1 delivered), 0 left")
	})
	w.once("ann", "bob")
}

// Two operators at once: every letter is replayed once, whoever was faster.
func TestTwoReplaysAtOnce(t *testing.T) {
	t.Parallel()
	for _, trial := range []string{"0", "5"} {
		t.Run("trial "+trial, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			w.Worker()
			var names []string
			for i := range 300 {
				names = append(names, fmt.Sprintf("t%03d", i))
			}
			w.dead(names...)
			var both sync.WaitGroup
			done := make([]ended, 3)
			for i := range done {
				both.Go(func() {
					done[i] = w.dlq("", "replay", "--all", "--yes", "--trial", trial, "--max-fail", "0")
				})
			}
			both.Wait()
			for _, d := range done {
				d.want(t, 0, "0 left")
			}
			w.settled(event.Courier, 0)
			w.once(names...)
			if n := w.stored(consumer.ProviderSubject(event.Courier)); n != 300 {
				t.Errorf("%d replays stand in the stream, want 300", n)
			}
			if n := len(w.letters()); n != 0 {
				t.Errorf("%d letters left", n)
			}
		})
	}
}

// Stopped in the middle: it says what was done and what remains, and the next
// run does the rest.
func TestReplayIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.Worker()
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("t%03d", i))
	}
	w.dead(names...)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		_ = w.Fake.Wait(ctx, func(r sandbox.Report) bool { return r.Courier.Accepted >= 20 })
	}()
	done := w.dlqWithin(ctx, "", "replay", "--all", "--yes", "--rate", "100")
	done.want(t, 1, "left: the run ended before their turn", "200 letters: ", "dlq: stopped")
	if n := len(w.letters()); n == 0 || n > 180 {
		t.Errorf("%d letters left", n)
	}
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "0 left")
	w.settled(event.Courier, 0)
	w.once(names...)
}

// kill -9 in the middle, again and again, also after the duplicate window:
// every letter ends delivered or dead, as the sandbox says, and none is lost.
func TestReplayIsKilled(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "dlq")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	w := newWorld(t, "PROVIDERS=courier")
	w.shortMemory()
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	good, bad := []string{}, map[string]bool{}
	for i := range 400 {
		name := fmt.Sprintf("good-%03d", i)
		if i%10 == 0 {
			name = fmt.Sprintf("bad-%03d", i)
			bad[name] = true
		} else {
			good = append(good, name)
		}
		w.dead(name)
	}
	replay := []string{"replay", "--all", "--yes", "--trial", "0", "--max-fail", "0", "--max-generation", "1"}
	for round := range 4 {
		var output bytes.Buffer
		cmd := exec.Command(binary, append(replay, "--rate", "400")...)
		cmd.Env, cmd.Stdout, cmd.Stderr = append(w.Environment(), "TMPDIR="+os.TempDir()), &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := w.Fake.Report().Courier.Records
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := w.Fake.Wait(ctx, func(r sandbox.Report) bool { return r.Courier.Records >= before+30 }); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, &output)
		}
		cancel()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatalf("round %d ended before it was killed:\n%s", round, &output)
		}
		<-time.After(200 * time.Millisecond) // longer than the stream remembers
	}
	w.settled(event.Courier, 0)
	w.dlq("", replay...).want(t, 1, "letters: ")
	w.settled(event.Courier, 0)
	w.once(good...)
	for _, l := range w.letters() {
		name := dlq.WhoseIs(l.Body).Token
		if !bad[name] || l.Generation != 1 {
			t.Errorf("%s is a letter of generation %d", name, l.Generation)
		}
		delete(bad, name)
	}
	if len(bad) > 0 {
		t.Errorf("%d letters are lost: %v", len(bad), bad)
	}
	if refused := w.Fake.Report().Courier.Refused["400"]; refused != 40 {
		t.Errorf("the bad ones were refused %d times, want 40", refused)
	}
}

// What is written to the broker while it is away is an error in one line, and
// what was not confirmed is still a letter.
func TestReplayWithoutBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.dead("ann", "bob", "cyd")
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	settings := stream.CachedInfo().Config
	settings.MaxMsgs = 1
	if _, err := w.Broker.JS.UpdateStream(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	w.Put(registration("x"))
	done := w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--no-yield") // nobody takes what waits
	done.want(t, 1, "dlq: the broker did not take a replay", "the stream is full", "0 replayed, 3 left")
	if n := len(w.letters()); n != 3 {
		t.Errorf("%d letters left", n)
	}
	if strings.Count(done.errors, "dlq: ") != 1 {
		t.Errorf("%s", done.errors)
	}
}
