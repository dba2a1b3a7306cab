package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Why an event was not confirmed. Except with ErrUnconfirmed the event is
// certainly not stored.
var (
	// ErrNoStream: no stream listens on the subject, or it has no leader now.
	ErrNoStream = errors.New("no stream listens on the subject")
	// ErrNotConnected: there is no connection to NATS now.
	ErrNotConnected = errors.New("no connection to NATS")
	// ErrTooLarge: the message, headers included, is larger than the stream
	// or the server takes.
	ErrTooLarge = errors.New("message too large")
	// ErrStreamFull: the stream or its server has no room left.
	ErrStreamFull = errors.New("the stream is full")
	// ErrExpectation: an expectation in the headers (last sequence, stream)
	// was not met.
	ErrExpectation = errors.New("an expectation was not met")
	// ErrBadHeader: a header's name is empty or holds what NATS forbids there.
	ErrBadHeader = errors.New("a header's name is not allowed")
	// ErrUnconfirmed: the broker's word did not come in time; the event may
	// or may not be stored. Publish it again with the same id.
	ErrUnconfirmed = errors.New("not confirmed: the event may or may not be stored; publish it again with the same id")
	// ErrNotAllowed: the NATS user may not publish to the subject, or not hear
	// the answers. It comes with ErrUnconfirmed, since the server does not say
	// which message it refused.
	ErrNotAllowed = errors.New("the NATS user lacks a right")
	// ErrClosed: the Publisher is closed.
	ErrClosed = errors.New("the publisher is closed")
)

var (
	errNoAnswer = errors.New("no answer from the broker")
	errBusy     = errors.New("the stream cannot take messages now")
	errGaveUp   = fmt.Errorf("time is up: %w", context.DeadlineExceeded)
)

// Refusal is the broker's word that it did not store the event. It unwraps to
// the Err… value that its code stands for, when there is one.
type Refusal struct {
	Code        int    // the broker's err_code, like 10054
	Description string // in the broker's words
	kind        error  // may be nil
}

func (r *Refusal) Error() string {
	if r.kind == nil {
		return fmt.Sprintf("refused by the stream: %s (%d)", r.Description, r.Code)
	}
	return fmt.Sprintf("refused by the stream: %v: %s (%d)", r.kind, r.Description, r.Code)
}

func (r *Refusal) Unwrap() error { return r.kind }

// refusals maps the server's error codes (nats-server, server/errors.json).
var refusals = map[int]error{
	10008: errBusy, // JetStream system temporarily unavailable
	10009: errBusy, // JetStream cluster can not handle request
	10158: errBusy, // duplicate message id is in process: a sending of ours is being replicated
	10163: errBusy, // expected last sequence per subject temporarily unavailable
	10023: ErrStreamFull,
	10028: ErrStreamFull, // memory
	10047: ErrStreamFull, // storage
	10077: ErrStreamFull, // the description says which limit
	10054: ErrTooLarge,
	10097: ErrTooLarge,    // the headers alone
	10060: ErrExpectation, // stream
	10063: ErrExpectation, // stream sequence
	10070: ErrExpectation, // last message id
	10071: ErrExpectation, // last sequence
	10164: ErrExpectation, // last sequence, constant error text
}

// classify turns what the client says of a sending into ours.
func classify(err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: more than the server's max_payload", ErrTooLarge)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return fmt.Errorf("%w: %w", ErrNotConnected, err)
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return ErrNotConnected
	case errors.Is(err, nats.ErrBadHeaderMsg):
		return ErrBadHeader
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		return err
	default: // a write that failed, maybe half way
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
}

// again tells whether the next sending may end differently.
func again(err error) bool {
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining) {
		return false // for good
	}
	return errors.Is(err, errNoAnswer) || errors.Is(err, errBusy) ||
		errors.Is(err, ErrNoStream) || errors.Is(err, ErrNotConnected)
}

func unconfirmed(cause, last error) error {
	if last == nil {
		return fmt.Errorf("publisher: %w (%w)", ErrUnconfirmed, cause)
	}
	return fmt.Errorf("publisher: %w (%w; last sending: %w)", ErrUnconfirmed, cause, last)
}
