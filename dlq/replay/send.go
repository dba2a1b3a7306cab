package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// send replays one letter, when it is still to be replayed by now, and waits
// only until it may go. It reports whether it went.
func (r *run) send(e *entry, l *dlq.Stored, trial bool) bool {
	pace := r.paces[l.Provider]
	if trial {
		pace.push()
	} else if pace.enter(r.soft) != nil {
		return false
	}
	if !r.take(e, l) {
		pace.leave()
		return false
	}
	m, err := r.message(l)
	if err != nil {
		r.putBack(e, Invalid)
		pace.leave()
		return false
	}
	m.options = append(m.options, publisher.ReportTo(r.outcomes.Subject()))
	if trial {
		m.options = append(m.options, trialOf(l))
	}
	select {
	case r.places <- struct{}{}:
	case <-r.hard.Done():
		r.putBack(e, NotReached)
		pace.leave()
		return false
	}
	pending, err := r.publisher.PublishRawAsync(r.hard, m.id, m.body, m.options...)
	if err != nil {
		<-r.places
		r.refused(e, pace, err)
		return false
	}
	r.sending.Go(func() {
		defer func() { <-r.places }()
		r.confirm(e, l, m, pending, pace, trial)
	})
	return true
}

// take claims a letter that is still to be replayed; one whose replay has
// turned up meanwhile is only removed.
func (r *run) take(e *entry, l *dlq.Stored) bool {
	r.mu.Lock()
	was := e.state
	if was == ready {
		e.state = taken
	}
	r.mu.Unlock()
	if was == replayed || was == leftover {
		r.clear(e, l)
	}
	return was == ready
}

// putBack leaves a letter that was claimed.
func (r *run) putBack(e *entry, why Why) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.leave(why)
}

// refused leaves a letter whose replay the broker did not take. Unless that
// is the letter's own fault, it would take no other either.
func (r *run) refused(e *entry, pace *pace, err error) {
	r.putBack(e, Unconfirmed)
	pace.leave()
	own := errors.Is(err, publisher.ErrTooLarge) || errors.Is(err, publisher.ErrExpectation)
	if !own && r.hard.Err() == nil {
		r.fail(fmt.Errorf("the broker did not take a replay: %w", err))
	}
}

// confirm waits for the broker's word on a replay, and removes the letter only
// then.
func (r *run) confirm(e *entry, l *dlq.Stored, m replayOf, pending *publisher.Pending, pace *pace, trial bool) {
	ack, err := pending.Wait(r.hard)
	if err != nil {
		r.refused(e, pace, err)
		return
	}
	own := true
	if ack.Duplicate {
		// "Stored before" is only worth as much as what stands there.
		stored, err := r.events.GetMsg(r.hard, ack.Seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && stored.Header.Get(jetstream.MsgIDHeader) != m.id:
			r.putBack(e, Forgotten)
			pace.leave()
			return
		case err != nil:
			r.refused(e, pace, err)
			return
		}
		own = stored.Header.Get(publisher.OutcomeReplyHeader) == r.outcomes.Subject()
	}
	r.mu.Lock()
	e.proof = ack.Seq
	r.mu.Unlock()
	if !own {
		pace.leave()
	}
	if own || trial {
		r.books.takeOff(ack.Seq, flight{group: int(e.group), provider: l.Provider, trial: trial, own: own})
	} else {
		r.books.note(int(e.group), func(g *GroupReport) { g.Already++ })
	}
	r.remove(l.Seq)
}

// removeTime is how long to try to remove a letter. What stays is a leftover,
// which the next run recognises.
const removeTime = 10 * time.Second

func (r *run) remove(seq uint64) {
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

// joinTwins lets the twins of letters that have gone be removed as well.
func (r *run) joinTwins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.entries {
		e := &r.entries[i]
		if e.state != twin {
			continue
		}
		r.with(r.byReply, func(e *entry) uint64 { return e.replay }, e.replay, func(other *entry) {
			switch {
			case other.state == taken && other.proof != 0:
				e.state, e.proof = replayed, other.proof
			case other.state == left:
				e.leave(other.why)
			}
		})
	}
}

// clearDone removes the letters that were replayed and not removed, be it by
// this run or another.
func (r *run) clearDone() {
	r.mu.Lock()
	var done []*entry
	for i := range r.entries {
		if s := r.entries[i].state; s == replayed || s == leftover {
			done = append(done, &r.entries[i])
		}
	}
	r.mu.Unlock()
	team, ctx := errgroup.WithContext(r.soft)
	team.SetLimit(32)
	for _, e := range done {
		team.Go(func() error {
			l, err := r.get(ctx, e)
			if err == nil && l != nil {
				r.clear(e, l)
			}
			return err
		})
	}
	if err := team.Wait(); err != nil && r.soft.Err() == nil {
		r.fail(err)
	}
}

// get reads a letter of the plan; nil when somebody has removed it.
func (r *run) get(ctx context.Context, e *entry) (*dlq.Stored, error) {
	l, err := r.letters.Get(ctx, e.seq)
	if !errors.Is(err, dlq.ErrGone) {
		return l, err
	}
	r.mu.Lock()
	e.state = gone
	r.mu.Unlock()
	r.books.note(int(e.group), func(g *GroupReport) { g.Gone++ })
	return nil, nil
}

// clear removes a letter that needs no replay, after a look at the proof: only
// hashes were compared so far. Without a proof it is to be replayed.
func (r *run) clear(e *entry, l *dlq.Stored) {
	var proven bool
	r.mu.Lock()
	was, proof := e.state, e.proof
	r.mu.Unlock()
	switch was {
	case replayed:
		m, err := r.message(l)
		if err != nil {
			return
		}
		stored, err := r.events.GetMsg(r.hard, proof)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		proven = err == nil && stored.Header.Get(jetstream.MsgIDHeader) == m.id
	case leftover:
		later, err := r.letters.Get(r.hard, proof)
		if err != nil { // gone too: the next run sees what has become of it
			return
		}
		proven = later.ID == l.ID && (later.Generation > l.Generation || later.Generation == l.Generation && later.Trials > l.Trials)
	default:
		return
	}
	r.mu.Lock()
	e.state = ready
	if proven {
		e.state = taken
	}
	r.mu.Unlock()
	if proven {
		r.books.note(int(e.group), func(g *GroupReport) { g.Already++ })
		r.remove(l.Seq)
	}
}
