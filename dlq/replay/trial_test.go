package replay

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// While a live event waits no letter goes, the first of a trial included; who
// stops the run is obeyed.
func TestNothingGoesWhileLiveEventsWait(t *testing.T) {
	t.Parallel()
	for name, trial := range map[string]int{"a trial": 1, "no trial": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.New(t).JS
			declare(t, js, "ann", "bob")
			if _, err := js.Publish(t.Context(), consumer.EventsSubject, []byte(`{"user_id":"u","token":"live","type":"fcm"}`)); err != nil {
				t.Fatal(err)
			}
			letters, err := dlq.Open(t.Context(), js)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := Prepare(t.Context(), js, letters, Options{Trial: trial, Yield: time.Nanosecond, Wait: time.Minute, Stale: true})
			if err != nil || plan.Ready() != 2 {
				t.Fatalf("%d ready, %v", plan.Ready(), err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			report, err := plan.Run(ctx, func(p Progress) {
				if p.Yielding[event.Courier] > 0 {
					stop()
				}
			})
			if err != nil || report.Replayed != 0 || report.Groups[0].Left[NotReached] != 2 || !report.Interrupted {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// A provider whose live events wait keeps no other from its trial.
func TestTrialsGoSideBySide(t *testing.T) {
	t.Parallel()
	js := brokertest.New(t).JS
	declare(t, js, "ann")
	m := nats.NewMsg(dlq.Subject(event.CleverTap, "531"))
	m.Data = []byte(`{"object_id":"o","token":"bob","type":"fcm"}`)
	m.Header = nats.Header{dlq.HeaderID: {"bob"}, dlq.HeaderFailedAt: {time.Now().UTC().Format(time.RFC3339Nano)}}
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), consumer.EventsSubject, []byte(`{"user_id":"u","token":"live","type":"fcm"}`)); err != nil {
		t.Fatal(err)
	}
	c, err := js.Consumer(t.Context(), consumer.EventsStream, event.CleverTap)
	if err != nil {
		t.Fatal(err)
	}
	live, err := c.Fetch(1, jetstream.FetchPriorityGroup("senders"))
	if err != nil {
		t.Fatal(err)
	}
	for m := range live.Messages() {
		_ = m.Ack()
	}
	letters, err := dlq.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(t.Context(), js, letters, Options{Trial: 1, Yield: time.Nanosecond, Wait: time.Minute, Stale: true})
	if err != nil || plan.Ready() != 2 {
		t.Fatalf("%d ready, %v", plan.Ready(), err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	report, err := plan.Run(ctx, func(p Progress) {
		if p.Replayed > 0 {
			stop()
		}
	})
	if err != nil || report.Groups[0].Replayed != 0 || report.Groups[1].Replayed != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}
