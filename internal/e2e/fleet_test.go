package e2e_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// newFleetWorld has calls that last, a cap that the provider enforces,
// redeliveries soon and a lease short enough to be waited out.
func newFleetWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "PROVIDERS=clevertap", "HTTP_TIMEOUT=1s", "PERMIT_LEASE=2500ms")
	w.shortAckWait(3 * time.Second)
	w.fault(event.CleverTap, callsThatLast())
	return w
}

func callsThatLast() sandbox.Rule {
	return sandbox.Rule{Effect: sandbox.Latency, Delay: 50 * time.Millisecond}
}

// capKept checks what the provider saw of the whole fleet.
func (w *world) capKept() {
	w.t.Helper()
	report := w.report(event.CleverTap)
	if report.PeakOpen > 3 || report.Throttled > 0 {
		w.t.Errorf("%d CleverTap calls open at once and %d answered 429, want at most 3 and none", report.PeakOpen, report.Throttled)
	}
}

// holdsAll waits until one pod, the only one so far, has every permit.
func (w *world) holdsAll() {
	w.t.Helper()
	w.permitsAre("all permits are held", `"holder"`)
}

// permitsAre waits until each permit's record says something.
func (w *world) permitsAre(what, saying string) {
	w.t.Helper()
	kv, err := w.broker.JS.KeyValue(w.t.Context(), consumer.FleetBucket)
	if err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, what, func() bool {
		for _, key := range []string{"permits.clevertap.0", "permits.clevertap.1", "permits.clevertap.2"} {
			if entry, err := kv.Get(w.t.Context(), key); err != nil || !strings.Contains(string(entry.Value()), saying) {
				return false
			}
		}
		return true
	})
}

// The pod that holds all permits is killed: after their lease the other one
// has them, and everything is delivered.
func TestKilledHolderIsReplaced(t *testing.T) {
	t.Parallel()
	const events = 2000
	w := newFleetWorld(t)
	holder := startWorker(t, w.environment(), "run")
	w.holdsAll()
	startWorker(t, w.environment(), "run")
	w.put(registrations(0, events)...)
	w.underWay(events, event.CleverTap)
	holder.kill()
	w.settled(event.CleverTap)
	w.reached(event.CleverTap, tokens(0, events)...)
	w.capKept()
	w.noLetters()
}

// The pod that holds all permits is stopped for longer than their lease, while
// another delivers, and goes on then: it must not take itself for entitled.
func TestStoppedHolderMakesNoFourthCall(t *testing.T) {
	t.Parallel()
	const events = 3000
	w := newFleetWorld(t)
	sleeper := startWorker(t, w.environment(), "run")
	w.holdsAll()
	startWorker(t, w.environment(), "run")
	w.stopInItsCalls(sleeper, events)
	before := w.report(event.CleverTap).Accepted
	eventually(t, "the other pod delivers", func() bool { return w.report(event.CleverTap).Accepted >= before+1000 })
	signal(t, sleeper, syscall.SIGCONT)
	w.put(registrations(events, 1000)...)
	w.settled(event.CleverTap)
	w.reached(event.CleverTap, tokens(0, events+1000)...)
	w.capKept()
	w.noLetters()
}

// A record waits in a pod to be tried again when that pod loses its permits for
// good: it is given back, and the pod that has them delivers it.
func TestWhatIsParkedWithoutPermitsIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=clevertap", "HTTP_TIMEOUT=1s", "PERMIT_LEASE=2500ms")
	w.ensure()
	w.fault(event.CleverTap, sandbox.Rule{Token: sandbox.Match{Is: "bad"}, Effect: sandbox.Status, Status: 503})
	loser := startWorker(t, w.environment(), "run")
	w.holdsAll()
	w.put(registrationOf("bad"))
	alone := func() int { return len(loser.stderr.with(`"msg":"call"`, `"records":1,`, `"result":"unavailable"`)) }
	published := w.trickle(func() bool { return alone() >= 6 }) // from now on it is parked for seconds
	signal(t, loser, syscall.SIGSTOP)
	taker := startWorker(t, w.environment(), "run")
	eventually(t, "the other pod runs", func() bool { return len(taker.stderr.with("worker is ready")) == 1 })
	w.permitsAre("the other pod has all permits", taker.pod())
	w.fault(event.CleverTap)
	signal(t, loser, syscall.SIGCONT)
	w.settled(event.CleverTap)
	w.reached(event.CleverTap, append(tokens(0, published), "bad")...)
	w.noLetters()
}

// stopInItsCalls stops a pod while all that it may send has arrived: a call
// that it was still sending would arrive when it goes on, and no lease covers
// a process that is stopped in the very call.
func (w *world) stopInItsCalls(p *process, events int) {
	w.t.Helper()
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Hang, Delay: 900 * time.Millisecond})
	w.put(registrations(0, events)...)
	arrived := func() bool { return w.report(event.CleverTap).Open == 3 }
	for {
		eventually(w.t, "all three calls have arrived", arrived)
		signal(w.t, p, syscall.SIGSTOP)
		if arrived() {
			break
		}
		signal(w.t, p, syscall.SIGCONT)
	}
	w.fault(event.CleverTap, callsThatLast())
}

func signal(t testing.TB, p *process, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: %v", s, err)
	}
}

// A rolling deploy under load: one pod after another is ended and a new one
// started. No answered call is repeated and nothing is lost.
func TestRollingRestartRepeatsNothing(t *testing.T) {
	t.Parallel()
	w := newFleetWorld(t)
	pods := []*process{startWorker(t, w.environment(), "run"), startWorker(t, w.environment(), "run")}
	w.holdsAll()
	stop, ended := make(chan struct{}), make(chan int)
	go func() { // a steady load, all along
		n := 0
		for {
			select {
			case <-stop:
				ended <- n
				return
			case <-time.After(20 * time.Millisecond):
				w.put(registrations(n, 20)...)
				n += 20
			}
		}
	}()
	for i := range pods {
		seen := w.report(event.CleverTap).Accepted
		eventually(t, "the fleet delivers", func() bool { return w.report(event.CleverTap).Accepted > seen+100 })
		replacement := startWorker(t, w.environment(), "run")
		if code := pods[i].terminate(); code != 0 {
			t.Errorf("exit %d after SIGTERM", code)
		}
		pods[i] = replacement
	}
	seen := w.report(event.CleverTap).Accepted
	eventually(t, "the new pods deliver", func() bool { return w.report(event.CleverTap).Accepted > seen+100 })
	close(stop)
	events := <-ended
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, tokens(0, events)...)
	if repeated := w.report(event.CleverTap).Repeated; repeated != 0 {
		t.Errorf("%d records were sent again after they had been accepted", repeated)
	}
	w.capKept()
	w.noLetters()
	t.Logf("the longest time without an acceptance: %s", longestGap(w.cleverTap.Accepted(event.CleverTap)))
}

func longestGap(records []sandbox.Record) (gap time.Duration) {
	for i := 1; i < len(records); i++ {
		gap = max(gap, records[i].At.Sub(records[i-1].At))
	}
	return gap
}

// What holds the fleet together vanishes under it: delivery goes on, never
// with more calls than the cap.
func TestFleetSurvivesWhatVanishes(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(ctx context.Context, w *world) error{
		"the bucket": func(ctx context.Context, w *world) error {
			return w.broker.JS.DeleteKeyValue(ctx, consumer.FleetBucket)
		},
		"all keys of the bucket": func(ctx context.Context, w *world) error {
			stream, err := w.broker.JS.Stream(ctx, "KV_"+consumer.FleetBucket)
			if err != nil {
				return err
			}
			return stream.Purge(ctx)
		},
		"the consumer": func(ctx context.Context, w *world) error {
			return w.broker.JS.DeleteConsumer(ctx, consumer.EventsStream, event.CleverTap)
		},
		"the broker, for a moment": func(_ context.Context, w *world) error { return w.broker.Restart() },
		"every pod, for longer than the lease": func(_ context.Context, w *world) error {
			return nil // the pods are ended and started again by the test
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events = 1500
			w := newFleetWorld(t)
			pods := []*process{startWorker(t, w.environment(), "run"), startWorker(t, w.environment(), "run")}
			w.put(registrations(0, events)...)
			w.underWay(events, event.CleverTap)
			if err := vanish(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if name == "every pod, for longer than the lease" {
				for _, p := range pods {
					p.kill()
				}
				<-time.After(2600 * time.Millisecond) // the lease
				startWorker(t, w.environment(), "run")
				startWorker(t, w.environment(), "run")
			}
			eventually(t, "events can be published", func() bool {
				_, err := w.broker.JS.Stream(t.Context(), consumer.EventsStream)
				return err == nil
			})
			w.put(registrations(events, 500)...)
			eventually(t, "the consumer is there and has nothing left", func() bool {
				cons, err := w.broker.JS.Consumer(t.Context(), consumer.EventsStream, event.CleverTap)
				return err == nil && settledAt(cons.CachedInfo(), w.last[consumer.EventsSubject])
			})
			w.reached(event.CleverTap, tokens(0, events+500)...)
			w.capKept()
			w.noLetters()
			t.Logf("repeated: %d of %d", w.report(event.CleverTap).Repeated, events+500)
		})
	}
}

func settledAt(info *jetstream.ConsumerInfo, newest uint64) bool {
	return info.Delivered.Stream >= newest && info.NumPending == 0 && info.NumAckPending == 0
}

// The pod that has every permit cannot reach CleverTap, and nobody else may
// probe without one: it steps aside for a pod whose line works.
func TestPodWithABrokenLineStepsAside(t *testing.T) {
	t.Parallel()
	w := newFleetWorld(t)
	reachable := w.env["CLEVERTAP_BASE_URL"]
	w.set("CLEVERTAP_BASE_URL=http://127.0.0.1:1")
	cutOff := startWorker(t, w.environment(), "run")
	w.holdsAll()
	w.put(registrations(0, 250)...)
	eventually(t, "held", func() bool { return w.hold(event.CleverTap).Reason == "unavailable" })
	w.set("CLEVERTAP_BASE_URL=" + reachable)
	startWorker(t, w.environment(), "run")
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, tokens(0, 250)...)
	w.noLetters()
	w.capKept()
	if code := cutOff.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}
