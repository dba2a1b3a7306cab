package e2e_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A flood of garbage, as large as messages can be, leaves nothing behind in
// the process.
func TestGarbageDoesNotMakeItGrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "LOG_LEVEL=info")
	w.ensure()
	flood := []string{
		strings.Repeat("[", 60_000),
		strings.Repeat(`{"token":`, 60_000/9),
		`{"user_id":"u","object_id":"o","type":"fcm","token":"` + strings.Repeat("x", 60_000) + `"}`,
		"\xff" + strings.Repeat("\x00", 60_000),
	}
	const each = 150
	for range each {
		w.put(flood...)
	}
	w.put(registrations(0, 100)...)
	worker := startWorker(t, w.environment(), "run")
	w.settled()
	for _, provider := range event.Providers() {
		w.delivered(provider, tokens(0, 100)...)
	}
	stream, err := w.broker.JS.Stream(t.Context(), consumer.LettersStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := int(stream.CachedInfo().State.Msgs); n != 2*each*len(flood) {
		t.Errorf("%d letters, want %d", n, 2*each*len(flood))
	}
	// 70 MB went through it. What is left of them goes with the next collections,
	// which the scrapes themselves bring about.
	const allowed = 20 << 20
	address := worker.address()
	eventually(t, "the heap is small again", func() bool {
		heap := scrape(t, address)["go_memstats_heap_alloc_bytes"]
		return heap > 0 && heap < allowed
	})
	if code := worker.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}

// However large events are and however many wait, a pod takes no more bytes of
// them in hand than it is allowed, and goes on with the rest.
func TestLargeEventsAreTakenByTheirBytes(t *testing.T) {
	t.Parallel()
	const (
		events  = 300
		size    = 60_000
		allowed = 4<<20/size + 1
	)
	for _, provider := range event.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+provider, "LOG_LEVEL=info", "COURIER_MAX_CONCURRENT=64")
			w.ensure()
			for i := range events {
				w.put(strings.Replace(registration(i), "{", `{"properties":{"x":"`+strings.Repeat("x", size)+`"},`, 1))
			}
			w.fault(provider, sandbox.Rule{Effect: sandbox.Status, Status: 503})
			p := w.start()
			most := 0
			eventually(t, "it is held, with as much in hand as it may have", func() bool {
				inHand := w.consumer(provider).NumAckPending
				most = max(most, inHand)
				return p.metrics().held(t, provider) != "" && inHand > allowed*3/4
			})
			for range 20 { // probes, and every chance to take more
				most = max(most, w.consumer(provider).NumAckPending)
			}
			if most > allowed {
				t.Errorf("%d messages of %d bytes in hand, want %d at the most", most, size, allowed)
			}
			w.fault(provider)
			w.settled(provider)
			w.delivered(provider, tokens(0, events)...)
		})
	}
}
