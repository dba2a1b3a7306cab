package e2e_test

import (
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// shortAckWait lets the broker hand out again soon what a killed pod held; the
// declared minute would only make the tests long.
func (w *world) shortAckWait(wait time.Duration) {
	w.t.Helper()
	w.ensure()
	for _, provider := range event.Providers() {
		config := w.consumer(provider).Config
		config.AckWait = wait
		if _, err := w.broker.JS.UpdateConsumer(w.t.Context(), consumer.EventsStream, config); err != nil {
			w.t.Fatalf("ack wait: %v", err)
		}
	}
}

// slow lets calls of both providers last a while, so that there is a middle of
// a batch to be hit.
func (w *world) slow(cleverTap, courier time.Duration) {
	w.t.Helper()
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Latency, Delay: cleverTap})
	w.fault(event.Courier, sandbox.Rule{Effect: sandbox.Latency, Delay: courier})
}

// underWay waits until the providers have taken some of the events, and have a
// call open.
func (w *world) underWay(events int, providers ...string) {
	w.t.Helper()
	for _, provider := range providers {
		eventually(w.t, "a call of "+provider+" is open in mid-work", func() bool {
			report := w.report(provider)
			return report.Accepted > 0 && report.Accepted < events && report.Open > 0
		})
	}
}

// kill -9 in the middle of batches: what was held comes again, nothing is lost.
func TestKilledWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	const events = 600
	w := newWorld(t, "HTTP_TIMEOUT=1s", "PERMIT_LEASE=2100ms")
	w.shortAckWait(2 * time.Second)
	w.slow(150*time.Millisecond, 20*time.Millisecond)
	w.put(registrations(0, events)...)
	for _, providers := range [][]string{event.Providers(), {event.CleverTap}} {
		worker := startWorker(t, w.environment(), "run")
		w.underWay(2*events, providers...) // repetitions count as accepted
		worker.kill()
	}
	last := startWorker(t, w.environment(), "run")
	w.settled()
	for _, provider := range event.Providers() {
		w.reached(provider, tokens(0, events)...)
	}
	w.noLetters()
	if peak := w.report(event.CleverTap).PeakOpen; peak > 3 {
		t.Errorf("%d CleverTap calls open at once, want at most 3", peak)
	}
	if code := last.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}

// SIGTERM under load: an orderly end, after which no answered call is repeated.
func TestTerminatedWorkerRepeatsNothing(t *testing.T) {
	t.Parallel()
	const events = 1500
	w := newWorld(t)
	w.slow(50*time.Millisecond, 5*time.Millisecond)
	w.ensure()
	w.put(registrations(0, events)...)
	first := startWorker(t, w.environment(), "run")
	w.underWay(events, event.Providers()...)
	if code := first.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
	for _, provider := range event.Providers() {
		if open := w.report(provider).Open; open != 0 {
			t.Errorf("%d calls of %s are still open", open, provider)
		}
		if w.isSettled(provider) {
			t.Errorf("everything at %s was settled before the end: no load to end under", provider)
		}
	}
	second := startWorker(t, w.environment(), "run")
	w.settled()
	for _, provider := range event.Providers() {
		w.delivered(provider, tokens(0, events)...)
		if repeated := w.report(provider).Repeated; repeated != 0 {
			t.Errorf("%s was sent %d records twice", provider, repeated)
		}
	}
	w.noLetters()
	if code := second.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}

// SIGTERM while a provider is held, and while letters cannot be stored: what
// waits is given back, and the end does not wait for either.
func TestTerminatedInTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "SHUTDOWN_GRACE=10m", "NATS_PROVISION=false")
	w.ensure()
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 503})
	worker := startWorker(t, w.environment(), "run")
	eventually(t, "the worker is ready", func() bool { return len(worker.stderr.with("worker is ready")) == 1 })
	w.put(registrations(0, 5)...)
	w.settled(event.Courier)
	eventually(t, "held", func() bool { return w.hold(event.CleverTap).Reason != "" })
	if err := w.broker.JS.DeleteStream(t.Context(), consumer.LettersStream); err != nil {
		t.Fatal(err)
	}
	w.put("not json")
	eventually(t, "a letter is not stored", func() bool { return len(worker.stderr.with("letters cannot be stored")) > 0 })
	if code := worker.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}

	w.fault(event.CleverTap)
	w.ensure()
	w.start()
	w.settled()
	w.delivered(event.CleverTap, tokens(0, 5)...)
	w.delivered(event.Courier, tokens(0, 5)...)
	if letters := w.letters(""); len(letters) != 2 {
		t.Errorf("%d letters, want one of each provider", len(letters))
	}
}

// A pod that is told to stop as soon as it has started leaves nothing behind
// that the next one would have to wait for.
func TestStoppedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PERMIT_LEASE=1h", "PROVIDERS=clevertap", "CLEVERTAP_MAX_CONCURRENT=1")
	first := w.start() // in a new bucket; in any other an absent permit has to wait
	eventually(t, "the first pod has a permit", func() bool { return first.metrics().of(t, "permits_held", event.CleverTap) == 1 })
	if err := first.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	for range 10 {
		if err := w.start().stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	w.start()
	w.put(registration(1))
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, token(1))
}
