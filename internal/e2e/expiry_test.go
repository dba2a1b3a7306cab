package e2e_test

import (
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// An event that is still waiting an hour before the stream would drop it
// becomes a letter, however many wait and however long the hold lasts.
func TestExpiredInAHold(t *testing.T) {
	t.Parallel()
	for _, provider := range event.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			const events = 1200 // more than a pod keeps in hand
			w := newWorld(t, "PROVIDERS="+provider, "STREAM_MAX_AGE=1h0m3s", "HOLD_MIN=1h", "HOLD_MAX=1h")
			w.fault(provider, sandbox.Rule{Effect: sandbox.Status, Status: 401})
			p := w.start()
			w.put(registrations(0, events)...)
			eventually(t, "held", func() bool { return p.metrics().held(t, provider) != "" })
			w.settled(provider)
			letters := w.letters(provider)
			if len(letters) != events {
				t.Errorf("%d letters, want %d", len(letters), events)
			}
			for _, l := range letters {
				if l.code != "expired" || l.reason() == "" {
					t.Fatalf("a letter of code %s: %s", l.code, l.reason())
				}
			}
			if accepted := w.report(provider).Accepted; accepted != 0 {
				t.Errorf("%d delivered in the hold", accepted)
			}
		})
	}
}

// The same for one that nobody pulled in time.
func TestExpiredBeforeItWasPulled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "STREAM_MAX_AGE=1h0m1s")
	if _, err := consumer.Ensure(t.Context(), w.broker.JS, consumer.Topology{
		Provision: true, Providers: event.Providers(), MaxAge: time.Hour + time.Second, MaxAgeSet: true}); err != nil {
		t.Fatal(err)
	}
	old := w.putMsg(consumer.EventsSubject, registration(1), nil)
	stream, err := w.broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := stream.GetMsg(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event is old", func() bool { return time.Since(stored.Time) > time.Second })
	w.start()
	w.put(registration(2))
	w.settled()
	for _, provider := range event.Providers() {
		w.delivered(provider, token(2))
		letters := w.letters(provider)
		if len(letters) != 1 || letters[0].code != "expired" || letters[0].body != registration(1) {
			t.Errorf("letters of %s: %+v, want the old one, expired", provider, letters)
		}
	}
}
