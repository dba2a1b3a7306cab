package e2e_test

import (
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A provider that comes back only to throttle is held again after one call:
// whoever waited for a place beside that call must not use it any more.
func TestHoldAgainQuietsWhoWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier", "HOLD_MIN=30s", "HOLD_MAX=1m")
	w.fault(event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: 503})
	w.start()
	w.put(registrations(0, 100)...)
	eventually(t, "held", func() bool { return w.hold(event.Courier).Reason == "unavailable" && w.report(event.Courier).Open == 0 })
	w.fault(event.Courier, sandbox.Rule{Effect: sandbox.Latency, Delay: 50 * time.Millisecond}, sandbox.Rule{Effect: sandbox.Status, Status: 429, RetryAfter: time.Minute})
	before := w.report(event.Courier).Calls
	if resumed, err := app.Resume(t.Context(), config.NATS{URL: []string{w.broker.URL()}}, event.Courier, false); err != nil || !resumed.Held {
		t.Fatalf("resume: %+v, %v", resumed, err)
	}
	eventually(t, "held again", func() bool { return w.hold(event.Courier).Reason == "throttled" })
	<-time.After(500 * time.Millisecond) // ten more calls would fit in
	if calls := w.report(event.Courier).Calls - before; calls != 1 {
		t.Errorf("%d calls after the hold was ended, want the one that was answered 429", calls)
	}
	w.fault(event.Courier)
	if _, err := app.Resume(t.Context(), config.NATS{URL: []string{w.broker.URL()}}, event.Courier, false); err != nil {
		t.Fatal(err)
	}
	w.settled(event.Courier)
	w.delivered(event.Courier, tokens(0, 100)...)
	w.noLetters()
}

// One bad record in a trickle: nothing speaks for the provider, so it is held.
// The next good event must not wait out that hold, and with another one the
// bad record dies.
func TestLoneBadRecordDelaysNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=clevertap", "HOLD_MIN=1h", "HOLD_MAX=1h")
	w.fault(event.CleverTap, sandbox.Rule{Token: sandbox.Match{Is: "poison"}, Effect: sandbox.Status, Status: 400})
	w.start()
	w.put(registrationOf("poison"))
	eventually(t, "held for want of evidence", func() bool { return w.hold(event.CleverTap).Reason == "misconfigured" })
	w.noLetters()
	n := 0
	eventually(t, "good events are delivered and the bad one dies", func() bool {
		w.put(registrations(n, 1)...)
		n++
		eventually(t, "delivered", func() bool { return w.report(event.CleverTap).Accepted >= n })
		return len(w.letters("")) == 1
	})
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, tokens(0, n)...)
	if letters := w.letters(""); letters[0].code != "http_400" {
		t.Errorf("died of %s", letters[0].code)
	}
}
