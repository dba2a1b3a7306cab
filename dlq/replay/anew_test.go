package replay

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// declare makes the streams, and letters with these ids.
func declare(t *testing.T, js jetstream.JetStream, ids ...string) {
	t.Helper()
	if _, err := consumer.Ensure(t.Context(), js, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		m := nats.NewMsg(dlq.Subject(event.Courier, "http_400"))
		m.Data = fmt.Appendf(nil, `{"user_id":"u","token":%q,"type":"fcm"}`, id)
		m.Header = nats.Header{dlq.HeaderID: {id}, dlq.HeaderFailedAt: {time.Now().UTC().Format(time.RFC3339Nano)}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// A letter at a planned place that is not the planned one is not replayed, even
// where nobody has seen the stream go: it may go at any moment of a run.
func TestRunMeetsOtherLetters(t *testing.T) {
	t.Parallel()
	for name, trial := range map[string]int{"a trial": 1, "no trial": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.New(t).JS
			declare(t, js, "ann", "bob")
			letters, err := dlq.Open(t.Context(), js)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := Prepare(t.Context(), js, letters, Options{Trial: trial})
			if err != nil || plan.Ready() != 2 {
				t.Fatalf("%d ready, %v", plan.Ready(), err)
			}
			if err := js.DeleteStream(t.Context(), dlq.Stream); err != nil {
				t.Fatal(err)
			}
			declare(t, js, "eve", "fay")
			if plan.extent, err = letters.Extent(t.Context()); err != nil {
				t.Fatal(err)
			}
			report, err := plan.Run(t.Context(), func(Progress) {})
			if !errors.Is(err, errAnew) || report.Replayed != 0 || report.Left != 2 {
				t.Errorf("%+v, %v", report.Totals, err)
			}
			events, err := js.Stream(t.Context(), consumer.EventsStream)
			if err != nil {
				t.Fatal(err)
			}
			if n := events.CachedInfo().State.Msgs; n != 0 {
				t.Errorf("%d replays", n)
			}
			if extent, err := letters.Extent(t.Context()); err != nil || extent.Letters != 2 {
				t.Errorf("%d letters are left, %v", extent.Letters, err)
			}
		})
	}
}
