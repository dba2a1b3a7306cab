package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// send replays one letter that has entered, when it is still to be replayed by
// now. It reports whether it went.
func (n *lane) send(e *entry, l *dlq.Stored, trial bool) bool {
	if !n.take(e, l) {
		n.pace.leave(int(e.group), false)
		return false
	}
	m, err := n.message(l)
	if err != nil {
		why, problem := wrong(err)
		n.putBack(e, why, problem)
		return false
	}
	m.options = append(m.options, publisher.ReportTo(n.outcomes.Subject()))
	if trial {
		m.options = append(m.options, trialOf(l))
	}
	select {
	case n.places <- struct{}{}:
	case <-n.hard.Done():
		n.putBack(e, NotReached, "")
		return false
	}
	publish := func() (*publisher.Pending, error) {
		return n.publisher.PublishRawAsync(n.hard, m.id, m.body, m.options...)
	}
	if trial { // it was read this very moment
		pending, err := publish()
		if err != nil {
			<-n.places
			n.refused(e, err)
			return false
		}
		n.sending.Go(func() {
			defer func() { <-n.places }()
			n.confirm(e, m, pending, true)
		})
		return true
	}
	n.sending.Go(func() {
		defer func() { <-n.places }()
		if !n.stillStands(e) {
			return
		}
		pending, err := publish()
		if err != nil {
			n.refused(e, err)
			return
		}
		n.confirm(e, m, pending, false)
	})
	return true
}

// stillStands looks once more before a letter goes: since it was read ahead, or
// waited for its turn, it may have been purged, or its person erased.
func (n *lane) stillStands(e *entry) bool {
	l, err := n.get(n.hard, e)
	switch {
	case err != nil:
		n.putBack(e, NotReached, "")
		if n.hard.Err() == nil {
			n.fail(err)
		}
	case l == nil:
		n.pace.leave(int(e.group), false)
	}
	return err == nil && l != nil
}

// take takes a letter that is still to be replayed; one whose replay has turned
// up meanwhile is only removed.
func (r *run) take(e *entry, l *dlq.Stored) bool {
	_ = r.clear(e, l) // else it keeps its claim, and clearDone looks again
	r.mu.Lock()
	defer r.mu.Unlock()
	if !e.goes() {
		return false
	}
	e.state = taken
	return true
}

// putBack leaves a letter that was taken. The first problem of a group is told.
func (n *lane) putBack(e *entry, why Why, problem string) {
	n.mu.Lock()
	e.leave(why)
	n.mu.Unlock()
	n.pace.leave(int(e.group), false)
	n.books.note(int(e.group), func(g *GroupReport) { g.Example[why] = cmp.Or(g.Example[why], problem) })
}

// Why a "duplicate" is not believed.
var (
	errForgotten = errors.New("the stream remembers an earlier replay that is not there any more")
	errOccupied  = errors.New("the stream remembers another event of the same message id")
)

// fault is why a letter is left whose replay failed, what is wrong with it, and
// whether that is its own fault: else no other would go either.
func fault(err error) (why Why, problem string, own bool) {
	if _, bad := errors.AsType[*event.Violation](err); bad {
		why, problem = wrong(err)
		return why, problem, true
	}
	switch {
	case errors.Is(err, errForgotten):
		return Forgotten, "", true
	case errors.Is(err, errOccupied):
		return Occupied, "", true
	}
	for _, known := range []error{publisher.ErrTooLarge, publisher.ErrExpectation, publisher.ErrBadHeader} {
		if errors.Is(err, known) {
			return Unconfirmed, known.Error(), true // the broker's own words may quote another's message id
		}
	}
	return Unconfirmed, "", false
}

// refused leaves a letter whose replay the broker did not take.
func (n *lane) refused(e *entry, err error) {
	why, problem, own := fault(err)
	n.putBack(e, why, problem)
	if !own && n.hard.Err() == nil {
		n.fail(fmt.Errorf("the broker did not take a replay: %w", err))
	}
}

// confirm waits for the broker's word on a replay, and removes the letter only
// then.
func (n *lane) confirm(e *entry, m replayOf, pending *publisher.Pending, trial bool) {
	at, own, err := n.word(m, pending)
	if err != nil {
		n.refused(e, err)
		return
	}
	n.mu.Lock()
	e.proof = at
	n.mu.Unlock()
	if !own {
		n.pace.leave(int(e.group), false)
	}
	if own || trial {
		n.books.takeOff(at, flight{group: int(e.group), provider: n.provider, trial: trial, own: own})
	} else {
		n.books.note(int(e.group), func(g *GroupReport) { g.Already++ })
	}
	n.remove(m.letter.Seq)
}

// word waits until a replay stands in the stream, and reports where and whether
// it is ours. "Stored before" is only worth as much as what stands there: where
// that is another event, the replay goes once more, under its other id.
func (r *run) word(m replayOf, pending *publisher.Pending) (at uint64, own bool, err error) {
	for again := false; ; again = true {
		ack, err := pending.Wait(r.hard)
		if err != nil || !ack.Duplicate {
			return ack.Seq, true, err
		}
		stored, err := r.events.GetMsg(r.hard, ack.Seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, false, errForgotten
		case err != nil:
			return 0, false, err
		case m.isStoredAs(stored):
			return ack.Seq, stored.Header.Get(publisher.OutcomeReplyHeader) == r.outcomes.Subject(), nil
		case again:
			return 0, false, errOccupied
		}
		if pending, err = r.publisher.PublishRawAsync(r.hard, marked(m.id, m.letter), m.body, m.options...); err != nil {
			return 0, false, err
		}
	}
}

// removeTime is how long to try to remove a letter. What stays is a leftover,
// which the next run recognises.
const removeTime = 10 * time.Second

func (r *run) remove(seq uint64) {
	if errors.Is(context.Cause(r.soft), errAnew) { // another letter stands there
		return
	}
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxElapsedTime(removeTime))
	err := backoff.Retry(func() error {
		err := r.letters.Remove(r.hard, seq)
		if errors.Is(err, dlq.ErrGone) {
			return nil
		}
		return err
	}, backoff.WithContext(spacing, r.hard))
	if err != nil {
		r.notRemoved.Add(1)
	}
}

// get reads a letter of the plan; nil when somebody has removed it.
func (r *run) get(ctx context.Context, e *entry) (*dlq.Stored, error) {
	l, err := patiently(ctx, func(ctx context.Context) (*dlq.Stored, error) { return r.letters.Get(ctx, e.seq) })
	if err == nil && !r.isPlanned(e, l) {
		err = anew(dlq.Stream)
	}
	if !errors.Is(err, dlq.ErrGone) {
		return l, err
	}
	r.mu.Lock()
	e.state = gone
	r.mu.Unlock()
	r.books.note(int(e.group), func(g *GroupReport) { g.Gone++ })
	return nil, nil
}

// How long to try to look at a message, and how long one try may take: a
// broker that starts anew is back sooner, but what it was asked before is lost.
const (
	lookTime = 30 * time.Second
	askTime  = 5 * time.Second
)

// patiently asks again while there is no answer.
func patiently[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(lookTime))
	return backoff.RetryWithData(func() (T, error) {
		bounded, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		found, err := ask(bounded)
		if errors.Is(err, dlq.ErrGone) || errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, nats.ErrConnectionClosed) {
			err = backoff.Permanent(err)
		}
		return found, err
	}, backoff.WithContext(spacing, ctx))
}
