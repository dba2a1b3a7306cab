package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// Without a trial a group stops by itself, the others go on.
func TestReplayStopsAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier", "COURIER_MAX_CONCURRENT=2")
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "422"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	for i := range 300 {
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_422", Body: []byte(only(event.Courier, fmt.Sprintf("bad-%d", i)))},
			dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, fmt.Sprintf("good-%d", i)))})
	}
	done := w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--max-fail", "7", "--no-yield")
	done.want(t, 1, "300 delivered", "left: stopped: as many died again as --max-fail allows", "died again: http_422")
	refused := w.Fake.Report().Courier.Refused["422"]
	if refused < 7 || refused > 107 {
		t.Errorf("%d of the bad group were sent, want the 7 that ended it, and at most the 100 that were under way then", refused)
	}
	left := 0
	for _, l := range w.letters() {
		if l.Generation == 0 {
			left++
		}
	}
	if left != 300-refused || len(w.letters()) != 300 {
		t.Errorf("%d letters were never replayed after %d refusals; %d in all", left, refused, len(w.letters()))
	}
}

// A run meets only the letters that were there when it began: what dies again
// is not replayed again by the same run.
func TestReplayDoesNotLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	for i := range 150 {
		w.dead(fmt.Sprint(i))
	}
	w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--max-fail", "0").want(t, 1, "150 replayed (150 died again), 0 left")
	if got := w.Fake.Report().Courier.Refused["400"]; got != 150 {
		t.Errorf("%d were sent, want 150", got)
	}
	for _, l := range w.letters() {
		if l.Generation != 1 {
			t.Errorf("generation %d", l.Generation)
		}
	}
}

// A trial without an outcome holds its group back, and the operator is told
// what is ahead.
func TestTrialWithoutOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.dead("a", "b", "c", "d", "e", "f", "g", "h")
	w.Put(only(event.Courier, "x"), only(event.Courier, "y"), only(event.Courier, "z"))
	w.dlq("", "replay", "--all", "--yes", "--wait", "300ms").want(t, 1,
		"trial without an outcome: 5 replayed, 5 still wait", "3 left: the trial has no outcome yet", "5 wait in the stream and go on without us",
		"about 3 events ahead at courier")
	if n := len(w.letters()); n != 3 {
		t.Errorf("%d letters left", n)
	}
	if err := w.Broker.JS.DeleteConsumer(t.Context(), consumer.EventsStream, event.Courier); err != nil {
		t.Fatal(err)
	}
	w.dlq("", "replay", "--all", "--yes", "--wait", "300ms", "--trial", "1").want(t, 1, "no worker has ever run for courier")
	w.Worker()
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "2 replayed (2 delivered)")
	w.settled(event.Courier, 0)
	if got := w.Fake.Report().Courier; got.Accepted != 11 || got.Repeated != 0 {
		t.Errorf("%d accepted, %d again", got.Accepted, got.Repeated)
	}
}

// Who waits for outcomes that never come ends some time, and the rest stays.
func TestReplayWithoutOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	for i := range 120 {
		w.dead(fmt.Sprint(i))
	}
	w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--wait", "300ms", "--no-yield").want(t, 1,
		"20 left: no outcome came any more of those that went before (--wait)", "100 wait in the stream and go on without us")
	w.Worker()
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "20 replayed (20 delivered)")
	w.settled(event.Courier, 0)
	if got := w.Fake.Report().Courier; got.Accepted != 120 || got.Repeated != 0 {
		t.Errorf("%d accepted, %d again", got.Accepted, got.Repeated)
	}
}

// A trial with a rate takes its time, in which the broker may start anew.
func TestTrialGoesOnAfterTheBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	for i := range 20 {
		w.dead(fmt.Sprint(i))
	}
	done := make(chan ended)
	go func() { done <- w.dlq("", "replay", "--all", "--yes", "--trial", "20", "--rate", "20", "--wait", "1s") }()
	brokertest.Eventually(t, "some have gone", func() bool { return w.stored(consumer.ProviderSubject(event.Courier)) > 2 })
	if err := w.Broker.Restart(); err != nil {
		t.Fatal(err)
	}
	(<-done).want(t, 0, "trial without an outcome: 20 replayed, 20 still wait", "0 left")
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d letters left", n)
	}
}

// A held provider would let everything wait: the operator is told before.
func TestReplayTellsOfAHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier", "HOLD_MIN=1h", "HOLD_MAX=2h")
	if err := w.Fake.SetRules(sandbox.Rule{Effect: sandbox.Status, Status: 401}); err != nil {
		t.Fatal(err)
	}
	w.Worker()
	w.dead("a", "b")
	w.Put(only(event.Courier, "x"))
	brokertest.Eventually(t, "courier is held", func() bool {
		kv, err := w.Broker.JS.KeyValue(t.Context(), consumer.FleetBucket)
		if err != nil {
			t.Fatal(err)
		}
		_, err = kv.Get(t.Context(), "hold."+event.Courier)
		return err == nil
	})
	done := w.dlq("", "replay", "--all", "--yes", "--wait", "200ms")
	done.want(t, 0, "courier is held since", "(unauthorized)", "2 wait in the stream and go on without us")
}

// Reports are best effort: when none comes, the streams tell.
func TestReplayWithoutReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.dead("good-1", "bad-1", "good-2")
	c, err := w.Broker.JS.Consumer(t.Context(), consumer.EventsStream, event.Courier)
	if err != nil {
		t.Fatal(err)
	}
	// A worker that reports nothing.
	messages, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m, err := messages.Next()
			if err != nil {
				return
			}
			meta, _ := m.Metadata()
			if strings.Contains(string(m.Data()), "bad") {
				_ = dlq.NewWriter(w.Broker.JS, nil).Put(context.Background(), &dlq.Letter{Provider: event.Courier, Code: "http_400", Reason: "still so", FailedAt: time.Now(),
					Body: m.Data(), Header: m.Headers(), OriginStream: consumer.EventsStream, OriginSeq: meta.Sequence.Stream, Replayed: true})
			}
			_ = m.Ack()
		}
	}()
	t.Cleanup(func() { messages.Stop(); <-ended })
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 1, "2 delivered", "1 died again: http_400: still so", "3 replayed (2 delivered, 1 died again), 0 left")
}

// While live events wait, a replay holds back, and goes on when they are gone.
func TestReplayYields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	pause := func(until time.Time) {
		t.Helper()
		if _, err := w.Broker.JS.PauseConsumer(t.Context(), consumer.EventsStream, event.Courier, until); err != nil {
			t.Fatal(err)
		}
	}
	w.Worker()
	for i := range 400 {
		w.dead(fmt.Sprint(i))
	}
	pause(time.Now().Add(time.Hour))
	w.Put(only(event.Courier, "live"))
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	// It has waited for longer than the replay's limit by the stream's clock.
	brokertest.Eventually(t, "the live event is old", func() bool {
		info, err := w.Broker.JS.Consumer(t.Context(), consumer.EventsStream, event.Courier)
		m, gone := stream.GetMsg(t.Context(), 1)
		return err == nil && gone == nil && info.CachedInfo().TimeStamp.Sub(m.Time) > 300*time.Millisecond
	})
	done := make(chan ended)
	go func() { done <- w.dlq("", "replay", "--all", "--yes", "--trial", "0") }()
	for range 10 {
		<-time.After(50 * time.Millisecond)
		if n := w.stored(consumer.ProviderSubject(event.Courier)); n > 0 {
			t.Fatalf("%d replays went while a live event waited", n)
		}
	}
	if _, err := w.Broker.JS.ResumeConsumer(t.Context(), consumer.EventsStream, event.Courier); err != nil {
		t.Fatal(err)
	}
	(<-done).want(t, 0, "400 replayed (400 delivered), 0 left")
}

// A dry run changes nothing and asks CleverTap itself, within the fleet's cap.
func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("worker %v", running), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "CLEVERTAP_MAX_CONCURRENT=1")
			rules, events := fiveGroups(150)
			if err := w.Fake.SetRules(rules...); err != nil {
				t.Fatal(err)
			}
			_, stop := w.Worker()
			w.settled(event.CleverTap, w.Put(events...))
			w.dead("ann")
			if !running {
				stop()
			}
			w.Fake.RemoveRule("531")
			// A call that is refused whole, because of one record.
			if err := w.Fake.AddRules(sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Is: "b-00077"}, Effect: sandbox.Status, Status: 400}); err != nil {
				t.Fatal(err)
			}
			letters, stored := len(w.letters()), w.stored(">")
			before := w.Fake.Report().CleverTap
			done := w.dlq("", "replay", "--all", "--dry-run", "--set", "device.platform=android")
			done.want(t, 1, "150 would be replayed; of these CleverTap would take 149 now", "1 would die again of http_400",
				"150 would die again of 530", "1 would be replayed; Courier has no dry run", "nothing was changed")
			after := w.Fake.Report().CleverTap
			if after.Accepted != before.Accepted || after.DryRun == before.DryRun || after.PeakOpen != 1 || after.Throttled != 0 {
				t.Errorf("%d accepted, %d asked, %d open at once, %d throttled", after.Accepted-before.Accepted, after.DryRun-before.DryRun, after.PeakOpen, after.Throttled)
			}
			if len(w.letters()) != letters || w.stored(">") != stored {
				t.Error("something was changed")
			}
			w.Fake.ClearRules()
			w.dlq("", "replay", "--provider", "clevertap", "--dry-run").want(t, 0, "CleverTap would take 150 now")
		})
	}
}

func TestDryRunThatCannotAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dlq.Letter{Provider: event.CleverTap, Code: "531", Body: []byte(registration("ann"))}, dlq.Letter{Provider: event.CleverTap, Code: "531", Body: []byte(registration("bob"))})
	if err := w.Fake.SetRules(sandbox.Rule{Effect: sandbox.Status, Status: 401}); err != nil {
		t.Fatal(err)
	}
	w.dlq("", "replay", "--all", "--dry-run").want(t, 1, "dlq: clevertap: unauthorized", "CLEVERTAP_PASSCODE")
	w.Set("CLEVERTAP_ACCOUNT_ID=", "CLEVERTAP_PASSCODE=")
	w.dlq("", "replay", "--all", "--dry-run").want(t, 0, "CleverTap is not asked", "2 would be replayed")
	w.Set("PERMIT_LEASE=1s")
	w.dlq("", "replay", "--all", "--dry-run").want(t, 2, "PERMIT_LEASE is \"1s\", must be longer than twice HTTP_TIMEOUT")
}
