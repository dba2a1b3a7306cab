package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
)

// Ack is the broker's word that an event is stored.
type Ack struct {
	Stream string // that stored it
	Seq    uint64 // its place in the stream; for a duplicate, that of the first
	// Duplicate says that the stream had seen this id within its duplicate
	// window and stored nothing now. It may have been a former sending of
	// this very call whose answer was lost. An app that sees it with an id of
	// its own that was never used before has an id that is not unique.
	Duplicate bool
	ID        string // the event's id, also when it was made up
}

// Pending is an event under way.
type Pending struct {
	done chan struct{}
	ack  Ack   // complete when done is closed
	err  error // complete when done is closed
}

// ID is the event's id, also when it was made up.
func (p *Pending) ID() string { return p.ack.ID }

// Done is closed when the event is confirmed or has failed.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the end, or until ctx is done; the event stays under way
// then. Errors as for Publish.
func (p *Pending) Wait(ctx context.Context) (Ack, error) {
	select {
	case <-p.done:
		return p.ack, p.err
	default:
	}
	select {
	case <-p.done:
		return p.ack, p.err
	case <-ctx.Done():
		return Ack{ID: p.ack.ID}, unconfirmed(context.Cause(ctx), nil)
	}
}

// confirm waits for the answer to the first sending of m, and sends it again
// and again with the same id while the answer may be different next time,
// until the broker's word or the end of ctx.
func (p *Publisher) confirm(ctx context.Context, m *nats.Msg, now sending) (puback, error) {
	var (
		ack   puback
		last  error // of the last sending that ended by itself
		final bool  // last is the broker's word
		maybe bool  // a sending got no answer: the event may be stored
	)
	attempt := func() (err error) {
		if now.answer == nil && now.err == nil {
			now = p.mailbox.post(m)
		}
		ack, err = p.mailbox.await(ctx, now, p.settings.AckWait)
		now = sending{}
		if err == nil {
			return nil
		}
		silent := errors.Is(err, errNoAnswer)
		if !silent || ctx.Err() == nil { // else it was cut short and says nothing
			last = err
		}
		maybe = maybe || silent
		if !again(err) {
			final = true
			return backoff.Permanent(err)
		}
		return err
	}
	spacing := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(0)) // ctx ends it
	err := backoff.Retry(attempt, backoff.WithContext(spacing, ctx))
	switch {
	case err == nil:
		return ack, nil
	case errors.Is(last, ErrNotAllowed):
		return puback{}, unconfirmed(last, nil)
	case final:
		return puback{}, fmt.Errorf("publisher: %w", last)
	case maybe || last == nil:
		return puback{}, unconfirmed(p.why(ctx), last)
	default:
		return puback{}, fmt.Errorf("publisher: not stored: %w (%w)", last, p.why(ctx))
	}
}

// why tells what ended ctx: Close, GiveUp or the caller.
func (p *Publisher) why(ctx context.Context) error {
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}
