package flow_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

func TestBeforeRunEveryProviderIsThere(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	s := flow.NewWatch(flow.Settings{JS: b.JS}).Now()
	for _, provider := range event.Providers() {
		if p := of(t, s, provider); p.Known || p.Pods != 0 || len(p.Plot) != 1 {
			t.Errorf("%+v", p)
		}
	}
	if s.At.IsZero() || s.Since.After(s.At) || s.Away != "" {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsMissingIsShownAndWhatComesLaterToo(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	w := watch(t, b.URL())
	begin := w.Now()
	s := await(t, w, "two rounds without a stream", func(s flow.Snapshot) bool { return s.At.Sub(begin.At) > 2*round })
	if p := of(t, s, event.CleverTap); p.Known || p.Waiting != 0 || p.Letters != 0 || s.Away != "" {
		t.Errorf("without any stream: %q, %+v", s.Away, p)
	}
	ensure(t, b.JS)
	for i := range 7 {
		put(t, b.JS, consumer.EventsSubject, fmt.Sprintf(`{"n":%d}`, i))
	}
	put(t, b.JS, consumer.ProviderSubject(event.Courier), `{}`)
	put(t, b.JS, "tokens.dlq.clevertap.531", `{}`)
	put(t, b.JS, "tokens.dlq.clevertap.invalid_event", `{}`)
	s = await(t, w, "what waits is known", func(s flow.Snapshot) bool {
		clever, courier := of(t, s, event.CleverTap), of(t, s, event.Courier)
		return clever.Known && clever.Waiting == 7 && clever.Letters == 2 && courier.Known && courier.Waiting == 8 && courier.Letters == 0
	})
	if oldest := of(t, s, event.CleverTap).Oldest; oldest <= 0 || oldest > patience {
		t.Errorf("the oldest waits for %s", oldest)
	}
	if err := b.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	await(t, w, "what waits is unknown again", func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return !p.Known && p.Waiting == 0 && p.Oldest == 0 && p.Letters == 2 && s.Away == ""
	})
}

func put(t *testing.T, js jetstream.JetStream, subject, body string) {
	t.Helper()
	if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func TestAnnouncementsAreAddedUp(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	w := watch(t, b.URL())
	say := func(data []byte) {
		t.Helper()
		if err := b.Conn.Publish(flow.Subject, data); err != nil {
			t.Fatal(err)
		}
	}
	// The first may come before the watch listens: it is said until heard.
	repeat(t, func() { say(announcement("a", 0, 100, 3, false)) }, w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return p.Pods == 1 && p.Delivered == 100 && p.Dead == 3 && p.OpenCalls == 2 && p.PermitCap == 3 && of(t, s, event.Courier).Pods == 0
	})
	say(announcement("old", time.Hour, 10000, 30, false))
	say(announcement("old", time.Hour+10*time.Second, 10050, 31, true))
	say(announcement("a", 2*time.Second, 120, 3, true))
	s := await(t, w, "the last of both", func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return p.Delivered == 170 && p.Dead == 4
	})
	if p := of(t, s, event.CleverTap); p.Pods != 0 || p.OpenCalls != 0 || p.PermitCap != 0 || p.Rate != 0 {
		t.Errorf("both have ended: %+v", p)
	}
	// What a caller does with its copy is its own matter.
	s.Providers[0].Plot[0].Delivered = 99999
	s.Providers[0].Delivered = 99999
	if p := of(t, w.Now(), event.CleverTap); p.Delivered != 170 || p.Plot[0].Delivered > 170 {
		t.Errorf("somebody else's copy was changed: %+v", p)
	}
	say(announcement("silent", time.Second, 1, 0, false))
	await(t, w, "a third pod", func(s flow.Snapshot) bool { return of(t, s, event.CleverTap).Pods == 1 })
	await(t, w, "it is gone", func(s flow.Snapshot) bool { return of(t, s, event.CleverTap).Pods == 0 })
}

// repeat does something each 10 ms until a snapshot is as wanted.
func repeat(t *testing.T, do func(), w *flow.Watch, wanted func(flow.Snapshot) bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	await(t, w, "heard", func(s flow.Snapshot) bool {
		if wanted(s) {
			return true
		}
		<-tick.C
		do()
		return false
	})
}

func TestHostileAnnouncementsDoNoHarm(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	w := watch(t, b.URL())
	for i := range 3000 {
		_ = b.Conn.Publish(flow.Subject, announcement(fmt.Sprint("pod-", i), time.Hour, i, i, false))
		if i%100 == 0 {
			_ = b.Conn.Publish(flow.Subject, bytes.Repeat([]byte("["), 1<<19))
			_ = b.Conn.Publish(flow.Subject, []byte(`{"pod":"x","providers":{"clevertap":{"delivered":-5}}}`))
			_ = b.Conn.Publish(flow.Subject, nil)
		}
	}
	// They are forgotten in time, and who is real is heard.
	repeat(t, func() { _ = b.Conn.Publish(flow.Subject, announcement("real", 0, 5, 1, false)) }, w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return p.Pods == 1 && p.Delivered == 5 && p.Dead == 1
	})
}

func TestAfterABrokerRestartTheWatchGoesOn(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS)
	put(t, b.JS, consumer.EventsSubject, `{}`)
	w := watch(t, b.URL())
	say := func(delivered int) func() {
		return func() { _ = b.Conn.Publish(flow.Subject, announcement("a", 0, delivered, 0, false)) }
	}
	repeat(t, say(10), w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return p.Pods == 1 && p.Delivered == 10 && p.Known
	})
	b.Stop()
	gone := await(t, w, "the broker is away", func(s flow.Snapshot) bool { return s.Away != "" })
	s := await(t, w, "many rounds later", func(s flow.Snapshot) bool { return s.At.Sub(gone.At) > 6*round })
	if p := of(t, s, event.CleverTap); s.Away == "" || p.Pods != 1 || !p.Known || p.Waiting != 1 || p.Delivered != 10 {
		t.Errorf("the last known figures do not stand: %q, %+v", s.Away, p)
	}
	if _, err := w.Resume(t.Context(), event.Courier); err != nil {
		t.Errorf("nothing is held, and that was known: %v", err)
	}
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	put(t, b.JS, consumer.EventsSubject, `{}`)
	repeat(t, say(25), w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return s.Away == "" && p.Pods == 1 && p.Delivered == 25 && p.Waiting == 2
	})
}

// Core NATS alone: who announces is heard, and what cannot be asked is said.
func TestWithoutJetStreamTheWatchSaysSo(t *testing.T) {
	t.Parallel()
	broker := start(t, server.Options{})
	nc, _ := brokertest.Connect(t, broker.ClientURL())
	w := watch(t, broker.ClientURL())
	repeat(t, func() { _ = nc.Publish(flow.Subject, announcement("a", 0, 5, 1, false)) }, w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return strings.HasPrefix(s.Away, "JetStream does not answer") && p.Delivered == 5 && !p.Known
	})
}

func TestHoldsAndPermitsAreShownAndAHoldIsEnded(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS)
	w := watch(t, b.URL())
	board := fleet.NewBoard(fleet.BoardSettings{JS: b.JS, Bucket: consumer.FleetBucket, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); board.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-board.Loaded()
	log := slog.New(slog.DiscardHandler)
	permits := fleet.NewPermits(fleet.PermitSettings{Board: board, Provider: event.CleverTap, Cap: 2, Self: "pod-1", Lease: time.Minute, Renewal: time.Second, Call: time.Second, Log: log})
	for range 2 {
		permit, err := permits.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer permit.GiveBack(context.WithoutCancel(t.Context()))
	}
	holds := fleet.NewHolds(board, "pod-1", fleet.Schedule{Min: time.Minute, Max: time.Hour}, time.Minute, log)
	holds.Begin(t.Context(), event.Courier, fleet.Cause{Reason: "throttled", Detail: "429 from there"})
	if _, ok := holds.TryProbe(t.Context(), event.Courier, true); !ok {
		t.Fatal("no probe")
	}
	s := await(t, w, "hold and permits", func(s flow.Snapshot) bool {
		return len(of(t, s, event.CleverTap).Permits) == 2 && of(t, s, event.Courier).Hold != nil && of(t, s, event.Courier).Hold.Probing
	})
	for i, permit := range of(t, s, event.CleverTap).Permits {
		if permit.Number != i || permit.Holder != "pod-1" || time.Since(permit.Since) > patience {
			t.Errorf("permit %d: %+v", i, permit)
		}
	}
	if h := of(t, s, event.Courier).Hold; h.Reason != "throttled" || h.Detail != "429 from there" || !h.Until.After(h.Since) {
		t.Errorf("hold: %+v", h)
	}
	if p := of(t, s, event.CleverTap); p.Hold != nil || len(of(t, s, event.Courier).Permits) != 0 {
		t.Errorf("%+v", p)
	}
	var ends atomic.Int32
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			switch was, err := w.Resume(t.Context(), event.Courier); {
			case err != nil:
				t.Error(err)
			case was:
				ends.Add(1)
			}
		})
	}
	asking.Wait()
	if ends.Load() != 1 {
		t.Errorf("the hold was ended %d times, want once", ends.Load())
	}
	await(t, w, "no hold", func(s flow.Snapshot) bool { return of(t, s, event.Courier).Hold == nil })
	if holds.State(event.Courier).Held {
		await(t, w, "the fleet hears of it", func(flow.Snapshot) bool { return !holds.State(event.Courier).Held })
	}
}

func TestResumeSaysWhyNot(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	w := watch(t, b.URL())
	if _, err := w.Resume(t.Context(), "fcm"); err == nil || err.Error() != `provider is "fcm", want one of clevertap, courier` {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if was, err := w.Resume(ctx, event.Courier); was || err == nil {
		t.Errorf("%t and %v without a bucket, want an error", was, err)
	}
}

func TestRunEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	nc, js := brokertest.Connect(t, b.URL())
	w := flow.NewWatch(flow.Settings{JS: js, Every: round})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(t.Context()) }()
	<-w.Changed()
	nc.Close()
	if err := <-ended; err == nil {
		t.Error("no error of a closed connection")
	}
	if err := w.Run(t.Context()); err == nil {
		t.Error("no error of a connection that was closed before")
	}
}
