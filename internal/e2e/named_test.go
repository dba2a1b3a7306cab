package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// refusesEverything is what a wrong account, or a provider gone wrong, answers.
func refusesEverything(provider string) sandbox.Rule {
	code := "530"
	if provider == event.Courier {
		code = "400"
	}
	return sandbox.Rule{Provider: provider, Effect: sandbox.Refuse, Code: code}
}

// A provider that refuses every record by name costs a hundred letters a pod
// at the most; the rest waits and is delivered when it is right again.
func TestRefusalOfEverythingByNameEmptiesNoBacklog(t *testing.T) {
	t.Parallel()
	const most = 100 // letters
	for _, provider := range event.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+provider)
			w.fault(provider, refusesEverything(provider))
			w.ensure()
			w.put(registrations(0, 450)...)
			p := w.start()
			eventually(t, "three probes are refused", func() bool { return w.hold(provider).Step >= 3 })
			eventually(t, "the letters are there", func() bool { return len(w.letters("")) >= most })
			if n := len(w.letters("")); n != most {
				t.Errorf("%d letters, want %d", n, most)
			}
			if reason := w.hold(provider).Reason; reason != "misconfigured" {
				t.Errorf("held for %q, want misconfigured", reason)
			}
			held := p.log.with("provider held", "100 records in a row refused, none accepted", "--believe")
			if len(held) != 1 {
				t.Errorf("the log says of the hold: %s", strings.Join(p.log.with("provider held"), "\n"))
			}

			w.fault(provider)
			w.settled(provider)
			if n := len(w.letters("")); n != most {
				t.Errorf("%d letters at the end, want %d", n, most)
			}
			if accepted := w.report(provider).Accepted; accepted != 450-most {
				t.Errorf("%d delivered, want %d", accepted, 450-most)
			}
			eventually(t, "not held any more", func() bool { return p.metrics().of(t, "provider_held", provider) == 0 })
		})
	}
}

// A pod that joins a hold for refusals by name adds no letters of its own.
func TestAPodThatJoinsBelievesNoRefusalOfAHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.fault(event.Courier, refusesEverything(event.Courier))
	w.ensure()
	w.put(registrations(0, 150)...)
	first := w.start()
	eventually(t, "held", func() bool { return w.hold(event.Courier).Reason == "misconfigured" })
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	before, step := len(w.letters("")), w.hold(event.Courier).Step
	w.start()
	eventually(t, "three probes more are refused", func() bool { return w.hold(event.Courier).Step >= step+3 })
	if n := len(w.letters("")); n != before {
		t.Errorf("%d letters, want no more than %d", n, before)
	}
	w.fault(event.Courier)
	w.settled(event.Courier)
}

// A bad event in a quiet system is a letter at once, and a stream of which nine
// in ten are bad goes on.
func TestFewRefusalsByNameAreBelieved(t *testing.T) {
	t.Parallel()
	for _, provider := range event.Providers() {
		t.Run(provider+" a lone one", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+provider)
			w.fault(provider, refusesEverything(provider))
			p := w.start()
			w.put(registration(0))
			w.settled(provider)
			if n := len(w.letters("")); n != 1 {
				t.Errorf("%d letters, want one", n)
			}
			if n := len(p.log.with("provider held")); n != 0 {
				t.Errorf("held %d times", n)
			}
		})
		t.Run(provider+" nine in ten", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+provider)
			rule := refusesEverything(provider)
			rule.Token = sandbox.Match{Prefix: "bad"}
			w.fault(provider, rule)
			w.ensure()
			for n := range 500 {
				if n%10 == 0 {
					w.put(registration(n))
				} else {
					w.put(registrationOf(fmt.Sprintf("bad-%d", n)))
				}
			}
			p := w.start()
			w.settled(provider)
			if n := len(w.letters("")); n != 450 {
				t.Errorf("%d letters, want 450", n)
			}
			if n := len(p.log.with("provider held")); n != 0 {
				t.Errorf("held %d times", n)
			}
		})
	}
}

// An operator who knows that nothing will ever be accepted says so; what was
// refused so far then dies.
func TestResumeBelieves(t *testing.T) {
	t.Parallel()
	for _, provider := range event.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+provider, "HOLD_MIN=1h", "HOLD_MAX=1h")
			w.fault(provider, refusesEverything(provider))
			w.ensure()
			w.put(registrations(0, 190)...)
			w.start()
			eventually(t, "held, with a hundred letters", func() bool {
				return w.hold(provider).Reason == "misconfigured" && len(w.letters("")) == 100
			})
			resumed, err := app.Resume(t.Context(), config.NATS{URL: []string{w.broker.URL()}}, provider, true)
			if err != nil || !resumed.Held || len(resumed.Pods) != 1 {
				t.Fatalf("resume: %+v, %v", resumed, err)
			}
			w.settled(provider)
			if n := len(w.letters("")); n != 190 {
				t.Errorf("%d letters, want all 190", n)
			}
		})
	}
}

// A replay is an operator's question: a refusal of it is believed whenever it
// comes, and its letter comes back. Nor does it speak against the provider.
func TestARefusedReplayIsBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.fault(event.Courier, refusesEverything(event.Courier))
	w.ensure()
	w.putTo("tokens.registered.courier", registrations(0, 120)...)
	p := w.start()
	w.settled(event.Courier)
	if n := len(w.letters("")); n != 120 {
		t.Errorf("%d letters, want all 120", n)
	}
	if n := len(p.log.with("provider held")); n != 0 {
		t.Errorf("held %d times", n)
	}
	if calls := w.report(event.Courier).Refused[fmt.Sprint(http.StatusBadRequest)]; calls != 120 {
		t.Errorf("%d calls, want 120", calls)
	}
}
