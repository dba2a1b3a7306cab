package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// hundred makes one batch of a hundred: one sender, who waits until it is full.
var hundred = []string{"CLEVERTAP_MAX_CONCURRENT=1", "CLEVERTAP_BATCH_WAIT=20s"}

// Three records named in a partial answer: these die with their codes, the
// others are done with, and nobody asks again.
func TestNamedRecordsDieAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hundred...)
	codes := map[string]string{token(7): "531", token(42): "530", token(99): "534"}
	var rules []sandbox.Rule
	for bad, code := range codes {
		rules = append(rules, sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Is: bad}, Effect: sandbox.Refuse, Code: code})
	}
	w.fault(event.CleverTap, rules...)
	p := w.start()
	w.put(registrations(0, 100)...)
	w.settled()

	if calls := w.report(event.CleverTap).Calls; calls != 1 {
		t.Errorf("%d calls, want one", calls)
	}
	good := slices.DeleteFunc(tokens(0, 100), func(token string) bool { return codes[token] != "" })
	w.delivered(event.CleverTap, good...)
	w.delivered(event.Courier, tokens(0, 100)...)
	letters := w.letters("")
	if len(letters) != len(codes) {
		t.Errorf("%d letters, want %d", len(letters), len(codes))
	}
	for bad, code := range codes {
		if found := byToken(letters, bad); len(found) != 1 || found[0].code != code || found[0].provider != event.CleverTap {
			t.Errorf("%s: letters %+v, want one with code %s", bad, found, code)
		}
	}
	if held := p.metrics().of(t, "holds_total", event.CleverTap, `reason="misconfigured"`); held != 0 {
		t.Errorf("the provider was held %v times", held)
	}
}

// CleverTap refuses every batch that holds one particular token, wherever that
// stands: it dies, 99 are delivered, and it does not take a hundred calls.
func TestUnnamedRecordIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, append(hundred, "PROVIDERS=clevertap")...)
	w.fault(event.CleverTap, sandbox.Rule{Token: sandbox.Match{Prefix: "poison"}, Effect: sandbox.Status, Status: 400})
	p := w.start()
	most := 0
	for position := range 100 {
		batch := registrations(100*position, 100)
		poison := fmt.Sprintf("poison-%d", position)
		batch[position] = registrationOf(poison)
		before := w.report(event.CleverTap)
		w.put(batch...)
		w.settled(event.CleverTap)
		after := w.report(event.CleverTap)

		calls := after.Calls - before.Calls
		most = max(most, calls)
		if calls > 15 {
			t.Errorf("position %d: %d calls, want at most 15", position, calls)
		}
		if accepted := after.Accepted - before.Accepted; accepted != 99 {
			t.Errorf("position %d: %d delivered, want 99", position, accepted)
		}
		if letters := w.letters(""); len(letters) != position+1 {
			t.Fatalf("position %d: %d letters, want one more than before: %d", position, len(letters), position+1)
		}
	}
	if repeated := w.report(event.CleverTap).Repeated; repeated != 0 {
		t.Errorf("%d records were sent again after they had been accepted", repeated)
	}
	for i, l := range w.letters("") {
		if l.code != "http_400" || len(byToken([]letter{l}, fmt.Sprintf("poison-%d", i))) != 1 {
			t.Errorf("letter %d: code %s, body %s", i, l.code, l.body)
		}
	}
	if held := len(p.log.with("provider held")); held != 0 {
		t.Errorf("the provider was held %d times", held)
	}
	t.Logf("at most %d calls", most)
}

// More than one bad record: all of them are found, none takes another with it.
func TestSeveralUnnamedRecordsAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, append(hundred, "PROVIDERS=clevertap")...)
	w.fault(event.CleverTap, sandbox.Rule{Token: sandbox.Match{Prefix: "poison"}, Effect: sandbox.Status, Status: 400})
	w.start()
	batch := registrations(0, 100)
	var poisons []string
	good := tokens(0, 100)
	for _, position := range []int{99, 98, 51, 50, 3} {
		poison := fmt.Sprintf("poison-%d", position)
		poisons = append(poisons, poison)
		batch[position] = registrationOf(poison)
		good = slices.Delete(good, position, position+1)
	}
	w.put(batch...)
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, good...)
	letters := w.letters("")
	if len(letters) != len(poisons) {
		t.Errorf("%d letters, want %d", len(letters), len(poisons))
	}
	for _, poison := range poisons {
		if found := byToken(letters, poison); len(found) != 1 || found[0].code != "http_400" {
			t.Errorf("%s: letters %+v, want one http_400", poison, found)
		}
	}
}

// What refuses everything, or is not the provider at all, kills nothing: the
// provider is held until it is put right, and then everything is delivered.
func TestRefusalOfEverythingKillsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		provider string
		rule     sandbox.Rule
		events   int
	}{
		{"400 to a full batch", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 400}, 100},
		{"400 to three records", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 400}, 3},
		{"400 to one record", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 400}, 1},
		{"400 to more than a batch", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 400}, 350},
		{"404", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 404}, 100},
		{"HTML with 200", event.CleverTap, sandbox.Rule{Effect: sandbox.HTML}, 100},
		{"redirect", event.CleverTap, sandbox.Rule{Effect: sandbox.Redirect}, 100},
		{"counts that do not add up", event.CleverTap, sandbox.Rule{Provider: event.CleverTap, Effect: sandbox.Miscount}, 100},
		{"a proxy's 404", event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: 404, Body: "<html>nothing here</html>"}, 40},
		{"a proxy's 404 to one record", event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: 404, Body: "<html>nothing here</html>"}, 1},
		{"HTML with 200", event.Courier, sandbox.Rule{Effect: sandbox.HTML}, 40},
		{"HTML with 200 to one record", event.Courier, sandbox.Rule{Effect: sandbox.HTML}, 1},
		{"redirect", event.Courier, sandbox.Rule{Effect: sandbox.Redirect}, 40},
	} {
		t.Run(c.provider+" "+c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+c.provider)
			w.fault(c.provider, c.rule)
			w.ensure()
			w.put(registrations(0, c.events)...)
			p := w.start()
			if c.events == 1 { // too few calls for a verdict: it waits
				eventually(t, "three calls are refused", func() bool { return w.report(c.provider).Calls >= 3 })
			} else {
				eventually(t, "held", func() bool { return p.metrics().held(t, c.provider) != "" })
				if reason := w.hold(c.provider).Reason; reason != "misconfigured" {
					t.Errorf("held for %q, want misconfigured", reason)
				}
				// Held means held: two probes more, and still nothing is dead.
				eventually(t, "two probes fail", func() bool { return w.hold(c.provider).Step >= 2 })
			}
			w.noLetters()
			w.fault(c.provider)
			w.settled(c.provider)
			w.noLetters()
			w.delivered(c.provider, tokens(0, c.events)...)
			eventually(t, "not held any more", func() bool { return p.metrics().held(t, c.provider) == "" })
		})
	}
}
