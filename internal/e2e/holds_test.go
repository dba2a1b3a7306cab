package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// hold is the record that the fleet shares; its zero value: not held.
type hold struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Step   int       `json:"step"`
}

func (w *world) hold(provider string) hold {
	w.t.Helper()
	bucket, err := w.broker.JS.KeyValue(w.t.Context(), consumer.FleetBucket)
	if err != nil {
		w.t.Fatalf("bucket: %v", err)
	}
	entry, err := bucket.Get(w.t.Context(), "hold."+provider)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return hold{}
	}
	if err != nil {
		w.t.Fatalf("hold: %v", err)
	}
	var h hold
	if err := json.Unmarshal(entry.Value(), &h); err != nil {
		w.t.Fatalf("hold %s: %v", entry.Value(), err)
	}
	return h
}

// outage is a way in which a provider is in trouble.
type outage struct {
	name     string
	settings []string
	begin    func(*world, string)
	end      func(*world, string)
	reason   string
	repeats  bool                // an open call may be taken just as it is given up
	hints    map[string][]string // what the warning must say to a person
}

func outages() []outage {
	byRule := func(rule sandbox.Rule) func(*world, string) {
		return func(w *world, provider string) { w.fault(provider, rule) }
	}
	same := func(words ...string) map[string][]string {
		return map[string][]string{event.CleverTap: words, event.Courier: words}
	}
	putRight := func(w *world, provider string) { w.fault(provider) }
	return []outage{
		{"401", nil, byRule(sandbox.Rule{Effect: sandbox.Status, Status: 401}), putRight, "unauthorized", false, map[string][]string{
			event.CleverTap: {`"hint":`, "CLEVERTAP_ACCOUNT_ID", "CLEVERTAP_PASSCODE"}, event.Courier: {`"hint":`, "COURIER_API_KEY"},
		}},
		{"503", nil, byRule(sandbox.Rule{Effect: sandbox.Status, Status: 503}), putRight, "unavailable", false, same("by itself")},
		{"429 with Retry-After", []string{"HOLD_MAX=1s"},
			byRule(sandbox.Rule{Effect: sandbox.Status, Status: 429, RetryAfter: time.Second}), putRight, "throttled", false, map[string][]string{
				event.CleverTap: {"CLEVERTAP_MAX_CONCURRENT"}, event.Courier: {"COURIER_MAX_CONCURRENT"},
			}},
		{"a hang", []string{"HTTP_TIMEOUT=300ms"}, byRule(sandbox.Rule{Effect: sandbox.Hang}), putRight, "unavailable", true, same("HTTP_TIMEOUT")},
		{"resets", nil, byRule(sandbox.Rule{Effect: sandbox.Reset}), putRight, "unavailable", false, nil},
		{"a closed port", nil, closePort, openPort, "unavailable", false, nil},
	}
}

// readiness is what /readyz shows.
type readiness struct {
	Ready bool     `json:"ready"`
	Why   []string `json:"why_not"`
	Note  string   `json:"note"`
	Holds []struct {
		Provider string `json:"provider"`
		Reason   string `json:"reason"`
	} `json:"holds"`
}

func (p *pod) readiness() readiness {
	p.t.Helper()
	var r readiness
	text := fetch(p.t, "http://"+p.worker.Addr()+"/readyz")
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		p.t.Fatalf("/readyz says %q: %v", text, err)
	}
	return r
}

func closePort(w *world, provider string) {
	if err := w.fake(provider).Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
}

func openPort(w *world, provider string) {
	fake := newFake(w.t, sandbox.Settings{Addr: strings.TrimPrefix(w.fake(provider).URL(), "http://")})
	if provider == event.CleverTap {
		w.cleverTap = fake
	} else {
		w.courier = fake
	}
}

// A provider in trouble burns nothing: its events wait and are delivered when
// it is back, with one warning; the other provider does not notice.
func TestOutageBurnsNothing(t *testing.T) {
	t.Parallel()
	for _, provider := range event.Providers() {
		for _, o := range outages() {
			t.Run(provider+" "+o.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, o.settings...)
				other := event.Courier
				if provider == event.Courier {
					other = event.CleverTap
				}
				o.begin(w, provider)
				p := w.start()
				w.put(registrations(0, 60)...)
				eventually(t, "held, and the metric says why", func() bool { return p.metrics().held(t, provider) == o.reason })
				if reason := w.hold(provider).Reason; reason != o.reason {
					t.Errorf("held for %q, want %q", reason, o.reason)
				}
				if held := p.metrics().held(t, other); held != "" {
					t.Errorf("%s is held, too", other)
				}
				if state := p.readiness(); !state.Ready || len(state.Holds) != 1 || state.Holds[0].Provider != provider || state.Holds[0].Reason != o.reason {
					t.Errorf("/readyz says %+v, want ready and the hold shown", state)
				}

				w.put(registrations(60, 20)...)
				w.settled(other)
				w.delivered(other, tokens(0, 80)...)
				eventually(t, "a probe fails", func() bool { return w.hold(provider).Step >= 1 })
				w.noLetters()
				if accepted := w.report(provider).Accepted; accepted != 0 {
					t.Errorf("%d records accepted in the outage", accepted)
				}

				o.end(w, provider)
				w.settled(provider)
				if o.repeats {
					w.reached(provider, tokens(0, 80)...)
				} else {
					w.delivered(provider, tokens(0, 80)...)
				}
				w.noLetters()
				eventually(t, "not held any more", func() bool { return p.metrics().held(t, provider) == "" })

				warnings := p.log.with(`"level":"WARN"`)
				if len(warnings) != 1 {
					t.Fatalf("%d warnings, want one:\n%s", len(warnings), strings.Join(warnings, "\n"))
				}
				for _, part := range append([]string{provider, o.reason}, o.hints[provider]...) {
					if !strings.Contains(warnings[0], part) {
						t.Errorf("the warning does not say %s: %s", part, warnings[0])
					}
				}
				if n := p.metrics().of(t, "holds_total", provider, fmt.Sprintf("reason=%q", o.reason)); n != 1 {
					t.Errorf("holds_total is %v, want 1", n)
				}
			})
		}
	}
}

// A hold is the fleet's: a pod that joins makes no call but the probe, and
// `worker resume` ends it for all.
func TestHoldIsTheFleets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "HOLD_MIN=1h", "HOLD_MAX=1h")
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: http.StatusUnauthorized})
	first := w.start()
	w.put(registrations(0, 10)...)
	eventually(t, "held", func() bool { return first.metrics().held(t, event.CleverTap) != "" })
	calls := w.report(event.CleverTap).Calls
	second := w.start()
	if held := second.metrics().held(t, event.CleverTap); held == "" {
		t.Error("the second pod does not know of the hold")
	}
	w.put(registrations(10, 10)...)
	w.settled(event.Courier)
	w.fault(event.CleverTap)
	if more := w.report(event.CleverTap).Calls - calls; more != 0 {
		t.Errorf("%d calls to a held provider", more)
	}

	done := runWorker(t, []string{"NATS_URL=" + w.broker.URL()}, "resume", event.CleverTap)
	if done.code != 0 || !strings.Contains(done.stdout, "goes on") {
		t.Errorf("resume: exit %d, %q, %q", done.code, done.stdout, done.stderr)
	}
	w.settled()
	w.delivered(event.CleverTap, tokens(0, 20)...)
	w.noLetters()
	again := runWorker(t, []string{"NATS_URL=" + w.broker.URL()}, "resume", event.CleverTap)
	if again.code != 0 || !strings.Contains(again.stdout, "was not held") {
		t.Errorf("second resume: exit %d, %q, %q", again.code, again.stdout, again.stderr)
	}
}
