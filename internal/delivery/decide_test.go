package delivery

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/providers"
)

// The table is the specification: one line a rule, first match as written.
func TestDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		in     situation
		want   step
		reason holdReason
	}{
		// What names its records is settled, whatever else is going on.
		{"all accepted", situation{result: providers.OK, records: 100}, settle, ""},
		{"some named", situation{result: providers.Partial, named: true, records: 100}, settle, ""},
		{"all named while others fail", situation{result: providers.Partial, named: true, records: 100, refusedInARow: 50}, settle, ""},
		{"one refused by name", situation{result: providers.Refused, named: true, records: 1}, settle, ""},
		{"one refused by name, nothing ever accepted", situation{result: providers.Refused, named: true, namedInARow: 1, records: 1, refusedInARow: 99}, settle, ""},
		{"99 refused by name in a row", situation{result: providers.Refused, named: true, namedInARow: 99, records: 1}, settle, ""},
		{"100 refused by name in a row", situation{result: providers.Refused, named: true, namedInARow: 100, records: 1}, settle, holdMisconfigured},
		{"100 refused by name in one call", situation{result: providers.Partial, named: true, namedInARow: 100, records: 100}, settle, holdMisconfigured},

		// What is the provider's problem holds it, in any stage, at once.
		{"throttled", situation{result: providers.Throttled, records: 100}, holdOff, holdThrottled},
		{"throttled in a split", situation{result: providers.Throttled, records: 1, suspect: true, acceptedSince: true}, holdOff, holdThrottled},
		{"unauthorized", situation{result: providers.Unauthorized, records: 100, acceptedSince: true}, holdOff, holdUnauthorized},
		{"redirected", situation{result: providers.Misconfigured, records: 3}, holdOff, holdMisconfigured},

		// Unavailable: again in place, then the provider's fault, unless others were accepted.
		{"down, time left", situation{result: providers.Unavailable, records: 100, retryTimeLeft: true}, again, ""},
		{"down, time left, others accepted", situation{result: providers.Unavailable, records: 100, retryTimeLeft: true, acceptedSince: true}, again, ""},
		{"down, time over", situation{result: providers.Unavailable, records: 100}, holdOff, holdUnavailable},
		{"one down, time over", situation{result: providers.Unavailable, records: 1}, holdOff, holdUnavailable},
		{"only this batch fails", situation{result: providers.Unavailable, records: 100, acceptedSince: true}, split, ""},
		{"fails again after a hold that a probe ended", situation{result: providers.Unavailable, records: 100, heldBefore: true}, split, ""},
		{"fails after a hold, time left", situation{result: providers.Unavailable, records: 100, heldBefore: true, retryTimeLeft: true}, again, ""},
		{"alone fails again after a hold", situation{result: providers.Unavailable, records: 1, heldBefore: true, outOfPatience: true}, goBack, ""},
		{"a half fails", situation{result: providers.Unavailable, records: 50, suspect: true, retryTimeLeft: true}, split, ""},
		{"a half fails, others accepted", situation{result: providers.Unavailable, records: 50, suspect: true, acceptedSince: true}, split, ""},
		{"halves fail ten times in a row", situation{result: providers.Unavailable, records: 2, suspect: true, refusedInARow: 10}, holdOff, holdUnavailable},
		{"alone fails, others accepted", situation{result: providers.Unavailable, records: 1, acceptedSince: true}, goBack, ""},
		{"alone fails for too many rounds and too long, others accepted", situation{result: providers.Unavailable, records: 1, acceptedSince: true, outOfPatience: true}, die, ""},
		{"alone fails in a split, no evidence", situation{result: providers.Unavailable, records: 1, suspect: true, outOfPatience: true}, goBack, ""},

		// Refused without a name: split, and death only with evidence.
		{"whole batch refused", situation{result: providers.Refused, records: 100, refusedInARow: 1}, split, ""},
		{"half refused", situation{result: providers.Refused, records: 2, suspect: true, refusedInARow: 7}, split, ""},
		{"alone, others accepted", situation{result: providers.Refused, records: 1, suspect: true, acceptedSince: true, refusedInARow: 1}, die, ""},
		{"alone, no evidence", situation{result: providers.Refused, records: 1, suspect: true, refusedInARow: 8}, accuse, ""},
		{"alone from the start, no evidence", situation{result: providers.Refused, records: 1, refusedInARow: 1}, accuse, ""},
		{"nine in a row", situation{result: providers.Refused, records: 50, suspect: true, refusedInARow: 9}, split, ""},
		{"ten in a row", situation{result: providers.Refused, records: 50, suspect: true, refusedInARow: 10}, holdOff, holdMisconfigured},
		{"ten in a row, alone, once accepted before", situation{result: providers.Refused, records: 1, suspect: true, acceptedSince: true, refusedInARow: 10}, holdOff, holdMisconfigured},

		// Not in the provider's own form: nobody has refused the record.
		{"a gateway's page", situation{result: providers.Refused, foreign: true, records: 1, refusedInARow: 1}, again, ""},
		{"a gateway's page to a batch", situation{result: providers.Refused, foreign: true, records: 100, refusedInARow: 1}, again, ""},
		{"a gateway's page again", situation{result: providers.Refused, foreign: true, repeated: true, records: 100, refusedInARow: 2}, split, ""},
		{"a gateway's page, alone, no evidence", situation{result: providers.Refused, foreign: true, repeated: true, records: 1, refusedInARow: 2}, goBack, ""},
		{"a gateway's page, alone, others accepted", situation{result: providers.Refused, foreign: true, suspect: true, records: 1, acceptedSince: true}, goBack, ""},
		{"a gateway's page with 200, alone, others accepted", situation{result: providers.Ambiguous, foreign: true, suspect: true, records: 1, acceptedSince: true}, goBack, ""},
		{"a gateway's page, alone, for too many rounds and too long", situation{result: providers.Refused, foreign: true, suspect: true, records: 1, acceptedSince: true, outOfPatience: true}, die, ""},
		{"a gateway's page to ten calls in a row", situation{result: providers.Refused, foreign: true, suspect: true, records: 1, refusedInARow: 10, outOfPatience: true}, holdOff, holdMisconfigured},

		// Ambiguous: once more, then as a refusal.
		{"ambiguous", situation{result: providers.Ambiguous, records: 100, refusedInARow: 1}, again, ""},
		{"ambiguous again", situation{result: providers.Ambiguous, records: 100, repeated: true, refusedInARow: 2}, split, ""},
		{"ambiguous half", situation{result: providers.Ambiguous, records: 50, suspect: true, refusedInARow: 3}, split, ""},
		{"ambiguous alone, others accepted", situation{result: providers.Ambiguous, records: 1, suspect: true, acceptedSince: true, refusedInARow: 1}, die, ""},
		{"ambiguous ten times", situation{result: providers.Ambiguous, records: 25, suspect: true, refusedInARow: 10}, holdOff, holdMisconfigured},
	} {
		got, reason := decide(c.in)
		if got != c.want || reason != c.reason {
			t.Errorf("%s: %v %q, want %v %q", c.name, got, reason, c.want, c.reason)
		}
	}
}

func TestProbeShowsLife(t *testing.T) {
	t.Parallel()
	for result, want := range map[providers.Result]bool{
		providers.OK: true, providers.Refused: false, providers.Ambiguous: false,
		providers.Throttled: false, providers.Unauthorized: false, providers.Unavailable: false, providers.Misconfigured: false,
	} {
		if got := probeShowsLife(providers.Answer{Result: result}, true); got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
	for _, result := range []providers.Result{providers.Refused, providers.Partial} {
		named := providers.Answer{Result: result, Refusals: []providers.Refusal{{Code: "531"}}}
		if !probeShowsLife(named, true) || probeShowsLife(named, false) {
			t.Errorf("%s: a record refused by name shows a working provider when that is believed, and only then", result)
		}
	}
}
