// Package providers is the vocabulary that every push provider answers in: a
// record prepared once, a call made of records, and an answer that says for
// each record whether it was taken, refused by name, or cannot be judged.
//
// It knows HTTP and each provider's rules (one folder a provider); it refuses
// to know JetStream, retries, holds and what becomes of a record: one call is
// one HTTP request. Nothing here owns a goroutine.
package providers

import (
	"context"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// Provider is one push service. All methods are safe for concurrent use.
type Provider interface {
	// Name is the provider's word in subjects, metrics and `destinations`.
	Name() string
	// MaxRecords is how many records one call may carry.
	MaxRecords() int
	// Prepare encodes an event that is addressed to this provider. Its error
	// is an *event.Violation.
	Prepare(*event.Event) (Record, error)
	// Call makes exactly one HTTP request and never retries. It returns when
	// the answer is read, the call's own time-out has passed or ctx is done;
	// records is the caller's again then. Without a record, or with more than
	// MaxRecords, no request is made and the answer is Misconfigured.
	Call(ctx context.Context, records []Record) Answer
	// Close lets go of idle connections, once no call is open any more.
	Close()
}

// Record is an event's place in a call, encoded once by Prepare and not
// changed afterwards: any number of calls may carry it.
type Record struct {
	Event *event.Event
	Path  string // where it goes below the base URL, escaped; empty when the provider has one path for all
	Body  []byte // JSON, as the provider wants this one record
}

// Result is how a call ended, a closed set that is also a metric label.
type Result string

// The results of a call.
const (
	OK            Result = "ok"            // every record was accepted
	Partial       Result = "partial"       // Refusals names the records that were not accepted; all others were
	Refused       Result = "refused"       // the whole call was refused; Refusals names the guilty record, or nobody does
	Throttled     Result = "throttled"     // too many calls; RetryAfter may say how long
	Unauthorized  Result = "unauthorized"  // our credentials were refused
	Unavailable   Result = "unavailable"   // no answer, or one that says: later
	Misconfigured Result = "misconfigured" // whoever answered is not the provider we meant
	Ambiguous     Result = "ambiguous"     // an answer that can be neither trusted nor blamed on a record
)

// Results lists every result.
func Results() []Result {
	return []Result{OK, Partial, Refused, Throttled, Unauthorized, Unavailable, Misconfigured, Ambiguous}
}

// Answer is what one call led to. No text in it holds a credential or a value
// of an event.
type Answer struct {
	Result     Result
	Status     int           // HTTP status; 0 when no answer came
	Code       string        // what a record dies of when it alone is to blame: http_400, ambiguous_response, unavailable; empty for OK and Partial
	Reason     string        // one line of at most 256 bytes, scrubbed
	Hint       string        // which variable to look at, or that there is none to; empty when there is nothing to say
	Foreign    bool          // of Refused and Ambiguous: not in the provider's own form, so that a gateway may speak and no record is blamed
	RetryAfter time.Duration // the pause the provider asked for, capped; 0 when it did not
	Refusals   []Refusal     // records the provider refused by name, by rising Index
}

// Refusal is one record that the provider named as refused.
type Refusal struct {
	Index  int    // of the record in the call
	Code   string // [a-z0-9_]{1,32}
	Reason string // one line of at most 256 bytes, scrubbed
	Again  int    // further calls to make before this refusal is believed; 0 for most
}
