package delivery

import "github.com/tokenrelay/tokenrelay/providers"

// rowLimit is how many calls in a row may be refused, nothing at all being
// accepted, before the provider is suspected instead of the records.
const rowLimit = 10

// step is what follows from a call's answer.
type step int

const (
	settle  step = iota // named records die, all others were accepted
	again               // the same call once more, after a short pause
	split               // two calls of half the records each
	accuse              // alone and refused, but no evidence yet that the provider works: wait for it
	goBack              // alone and failing while others are accepted: later again
	die                 // alone, and the evidence is there
	holdOff             // the provider, not the record, is the problem
)

func (s step) String() string {
	return [...]string{"settle", "again", "split", "accuse", "goBack", "die", "holdOff"}[s]
}

// situation is all that the decision depends on.
type situation struct {
	result        providers.Result
	named         bool // the answer names the records it refuses
	foreign       bool // a gateway may have given the answer: it blames no record
	namedInARow   int  // records refused by name, these included, with nothing accepted in between
	records       int  // in the call
	suspect       bool // the call is part of a split: its parent was refused
	repeated      bool // this very call was made before
	retryTimeLeft bool // RETRY_MAX_ELAPSED has not passed since its first try
	acceptedSince bool // another record was accepted since the trouble with these began
	heldBefore    bool // the provider was held for this very call, and a probe was accepted since
	refusedInARow int  // suspect calls refused, this one included, with nothing accepted in between
	outOfPatience bool // this record alone has failed MAX_ATTEMPTS rounds, this one included, while others were accepted, for MAX_ATTEMPTS_AGE
}

// decide is the specification of what becomes of a call's records; its table
// test is the one to read. The rules are DESIGN's: nothing dies of an unnamed
// refusal unless another record was accepted in the meantime, an outage burns
// nothing, and a provider that refuses everything by name empties no backlog.
// A reason beside settle: hold the provider then.
func decide(s situation) (step, holdReason) {
	switch {
	case s.named && s.namedInARow >= namedLimit:
		return settle, holdMisconfigured
	case s.named:
		return settle, ""
	}
	switch s.result {
	case providers.OK, providers.Partial:
		return settle, ""
	case providers.Throttled, providers.Unauthorized, providers.Misconfigured:
		return holdOff, holdReason(s.result)
	case providers.Unavailable:
		return decideUnavailable(s)
	}
	switch {
	case (s.result == providers.Ambiguous || s.foreign) && !s.suspect && !s.repeated:
		return again, ""
	case s.refusedInARow >= rowLimit:
		return holdOff, holdMisconfigured
	case s.records > 1:
		return split, ""
	case s.foreign:
		return laterOrNever(s), ""
	case s.acceptedSince:
		return die, ""
	default:
		return accuse, ""
	}
}

// decideUnavailable: no answer, or one that says "later". It speaks against
// the provider unless others were accepted meanwhile, or a probe was and this
// call fails all the same.
func decideUnavailable(s situation) (step, holdReason) {
	switch {
	case !s.suspect && s.retryTimeLeft:
		return again, ""
	case !s.suspect && !s.acceptedSince && !s.heldBefore, s.refusedInARow >= rowLimit:
		return holdOff, holdUnavailable
	case s.records > 1:
		return split, ""
	default:
		return laterOrNever(s), ""
	}
}

// laterOrNever is for a record alone that its provider has not refused: it
// failed, again and again perhaps, while others were accepted.
func laterOrNever(s situation) step {
	if s.acceptedSince && s.outOfPatience {
		return die
	}
	return goBack
}

// probeShowsLife says whether the answer to a probe ends a hold: the provider
// took the record, or refused it by name and is believed.
func probeShowsLife(answer providers.Answer, believed bool) bool {
	if len(answer.Refusals) > 0 {
		return believed
	}
	return answer.Result == providers.OK || answer.Result == providers.Partial
}

// holdReason is why a provider is held, a closed set and a metric label.
type holdReason string

const (
	holdThrottled     holdReason = "throttled"
	holdUnauthorized  holdReason = "unauthorized"
	holdUnavailable   holdReason = "unavailable"
	holdMisconfigured holdReason = "misconfigured"
)

// HoldReasons are all of them.
func HoldReasons() []string {
	return []string{string(holdThrottled), string(holdUnauthorized), string(holdUnavailable), string(holdMisconfigured)}
}

// holdReasonOf is why a failed probe extends a hold. A refusal without a name
// says that whoever answers does not take our records: misconfigured.
func holdReasonOf(result providers.Result) holdReason {
	switch result {
	case providers.Throttled, providers.Unauthorized, providers.Unavailable:
		return holdReason(result)
	}
	return holdMisconfigured
}
