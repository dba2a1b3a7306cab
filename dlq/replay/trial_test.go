package replay

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// While a live event waits no letter goes but those of a trial; who stops the
// run is obeyed.
func TestOnlyATrialGoesWhileLiveEventsWait(t *testing.T) {
	t.Parallel()
	for _, trial := range []int{0, 1} {
		t.Run(fmt.Sprintf("trial of %d", trial), func(t *testing.T) {
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
				if p.Yielding[event.Courier] > 0 && p.Replayed == trial {
					stop()
				}
			})
			if err != nil || report.Replayed != trial || report.Left != 2-trial || !report.Interrupted {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// A provider whose trial waits, since nobody takes its events, keeps no other
// from going on.
func TestProvidersGoSideBySide(t *testing.T) {
	t.Parallel()
	js := brokertest.New(t).JS
	declare(t, js, "ann")
	for _, token := range []string{"bob", "cid"} {
		m := nats.NewMsg(dlq.Subject(event.CleverTap, "531"))
		m.Data = []byte(`{"object_id":"o","token":"` + token + `","type":"fcm"}`)
		m.Header = nats.Header{dlq.HeaderID: {token}, dlq.HeaderFailedAt: {time.Now().UTC().Format(time.RFC3339Nano)}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	c, err := js.Consumer(t.Context(), consumer.EventsStream, event.CleverTap)
	if err != nil {
		t.Fatal(err)
	}
	letters, err := dlq.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(t.Context(), js, letters, Options{Trial: 1, Wait: time.Minute, Stale: true})
	if err != nil || plan.Ready() != 3 {
		t.Fatalf("%d ready, %v", plan.Ready(), err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var worker sync.WaitGroup
	worker.Go(func() { deliver(ctx, c, js.Conn()) })
	report, err := plan.Run(ctx, func(p Progress) {
		if p.Delivered == 2 {
			stop()
		}
	})
	worker.Wait()
	of := map[string]GroupReport{}
	for _, g := range report.Groups {
		of[g.Provider] = g
	}
	cleverTap, courier := of[event.CleverTap], of[event.Courier]
	if err != nil || cleverTap.Delivered != 2 || courier.Trial != Open || courier.Replayed != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// deliver accepts events as a worker would, until ctx ends.
func deliver(ctx context.Context, c jetstream.Consumer, nc *nats.Conn) {
	for ctx.Err() == nil {
		batch, err := c.Fetch(1, jetstream.FetchPriorityGroup("senders"), jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err == nil && m.Ack() == nil {
				_ = publisher.Outcome{StreamSeq: meta.Sequence.Stream, Provider: event.CleverTap, Outcome: "delivered"}.
					Tell(nc, m.Headers().Get(publisher.OutcomeReplyHeader))
			}
		}
	}
}
