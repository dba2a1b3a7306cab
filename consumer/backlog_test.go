package consumer_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestPendingTellsOfAPause(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS, "courier")
	publish(t, b.JS, consumer.EventsSubject, 2)
	look := func() consumer.Backlog {
		t.Helper()
		backlog, err := consumer.Pending(t.Context(), b.JS, "courier")
		if err != nil || backlog.Pending != 2 || backlog.Oldest.IsZero() {
			t.Fatalf("%+v, %v", backlog, err)
		}
		return backlog
	}
	if backlog := look(); !backlog.PausedUntil.IsZero() {
		t.Errorf("nobody paused it: %s", backlog.PausedUntil)
	}
	until := time.Now().Add(time.Hour)
	if _, err := b.JS.PauseConsumer(t.Context(), consumer.EventsStream, "courier", until); err != nil {
		t.Fatal(err)
	}
	if off := look().PausedUntil.Sub(until).Abs(); off > time.Minute {
		t.Errorf("paused until %s off", off)
	}
	if _, err := b.JS.ResumeConsumer(t.Context(), consumer.EventsStream, "courier"); err != nil {
		t.Fatal(err)
	}
	if backlog := look(); !backlog.PausedUntil.IsZero() {
		t.Errorf("it was resumed: %s", backlog.PausedUntil)
	}
}

// Who waits for events shows, and who was handed some; what a pod has in hand
// that is no more does not.
func TestPendingTellsWhetherSomebodyServes(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS, "courier")
	served := func() bool {
		t.Helper()
		backlog, err := consumer.Pending(t.Context(), b.JS, "courier")
		if err != nil {
			t.Fatal(err)
		}
		return backlog.Served
	}
	if served() {
		t.Error("served by nobody")
	}
	nc, _ := brokertest.Connect(t, b.URL())
	inbox := nats.NewInbox()
	if _, err := nc.SubscribeSync(inbox); err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier", inbox, []byte("1")); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "who waits is seen", served)
	nc.Close()
	brokertest.Eventually(t, "who has gone is not", func() bool { return !served() })
	publish(t, b.JS, consumer.EventsSubject, 2)
	if served() {
		t.Error("served, because events wait")
	}
	events, err := b.JS.Consumer(t.Context(), consumer.EventsStream, "courier")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Next(); err != nil {
		t.Fatal(err)
	}
	if !served() {
		t.Error("one was taken just now, and nobody serves")
	}
	b.Stop()
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "the broker has forgotten when", func() bool {
		backlog, err := consumer.Pending(t.Context(), b.JS, "courier")
		return err == nil && !backlog.Served && backlog.Pending == 2
	})
}
