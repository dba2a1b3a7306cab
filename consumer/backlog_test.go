package consumer_test

import (
	"testing"
	"time"

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
