package replay

import (
	"bytes"
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
)

// claim is why a letter seems to need no replay, but to be removed only.
type claim uint8

const (
	unclaimed claim = iota
	replayed        // its replay stands in the events' stream
	leftover        // a later generation of it is a letter
)

const (
	looks    = 32 // at stored messages, at a time
	mostKins = 16 // letters of the same id to compare one with
)

// findLeftovers goes through byReply, in which the letters of an id stand
// together, the latest attempt last.
func (p *Plan) findLeftovers() {
	for i := len(p.byReply) - 2; i >= 0; i-- {
		e := &p.entries[p.byReply[i]]
		for _, at := range p.byReply[i+1 : min(len(p.byReply), i+1+mostKins)] {
			later := &p.entries[at]
			if later.id != e.id || later.provider != e.provider {
				break
			}
			if later.attempt == e.attempt || later.body != e.body && !later.edited {
				continue
			}
			e.claim, e.proof, e.unsure = leftover, later.seq, later.body != e.body
			if later.claim == leftover { // and goes first, maybe
				e.proof, e.unsure = later.proof, e.unsure || later.unsure
			}
			break
		}
	}
}

// weigh looks at the claims that rest on a note of a change alone.
func (p *Plan) weigh(ctx context.Context) error {
	team, ctx := errgroup.WithContext(ctx)
	team.SetLimit(looks)
	for i := range p.entries {
		e := &p.entries[i]
		if e.claim == unclaimed || !e.unsure {
			continue
		}
		team.Go(func() error {
			l, err := p.letters.Get(ctx, e.seq)
			if errors.Is(err, dlq.ErrGone) {
				return nil // the run will see
			}
			if err != nil {
				return err
			}
			proven, err := p.proves(ctx, e.claim, e.proof, l)
			switch {
			case errors.Is(err, dlq.ErrGone):
				return nil
			case err != nil:
				return err
			case !proven:
				e.claim, e.proof = unclaimed, 0
			}
			e.unsure = false
			return nil
		})
	}
	return team.Wait()
}

// proves looks at what a claim rests on. The error may be dlq.ErrGone: the later
// letter went too, and the next run sees what has become of it.
func (p *Plan) proves(ctx context.Context, by claim, proof uint64, l *dlq.Stored) (bool, error) {
	if by == leftover {
		later, err := patiently(ctx, func(ctx context.Context) (*dlq.Stored, error) { return p.letters.Get(ctx, proof) })
		if err != nil {
			return false, err
		}
		isLater := later.Generation > l.Generation || later.Generation == l.Generation && later.Trials > l.Trials
		return isLater && later.ID == l.ID && later.Provider == l.Provider && carries(l, later.History, later.Body), nil
	}
	m, err := p.message(l)
	if err != nil {
		return false, nil //nolint:nilerr // what cannot be replayed was not replayed as this
	}
	stored, err := patiently(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return p.events.GetMsg(ctx, proof) })
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && m.isStoredAs(stored), err
}

// isStoredAs reports whether a stored message is the letter's replay, be it by
// this run or by one that changes it otherwise.
func (m replayOf) isStoredAs(stored *jetstream.RawStreamMsg) bool {
	return stored.Subject == consumer.ProviderSubject(m.letter.Provider) &&
		stored.Header.Get(dlq.HeaderID) == m.letter.ID && isNext(stored.Header, m.letter.Generation, m.letter.Trials) &&
		unmarked(stored.Header.Get(jetstream.MsgIDHeader), m.letter.ID) == m.id &&
		(bytes.Equal(stored.Data, m.body) || carries(m.letter, historyOf(stored.Header), stored.Data))
}

// conclude settles what no turn will come for any more. A twin goes, or stays, as
// the first of its kind; where that has gone, clearDone looks at the twin.
func (r *run) conclude() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first *entry
	for i, at := range r.byReply {
		e := &r.entries[at]
		if e.goes() {
			r.miss(e)
		}
		switch {
		case i == 0 || !r.isTwin(i):
			first = e
		case e.state != twin || e.claim != unclaimed:
		case first.state == taken && first.proof != 0:
			e.claim, e.proof = replayed, first.proof
		case first.state == left:
			e.leave(first.why)
		default:
			e.leave(Unproven)
		}
	}
}

// miss settles a letter that was not sent: where its turn came it was not there.
// Somebody removed it, maybe the run that had replayed it already.
func (r *run) miss(e *entry) {
	if r.soft.Err() == nil && r.mayGo(int(e.group)) {
		e.state = gone
		r.books.note(int(e.group), func(g *GroupReport) { g.Gone++ })
		return
	}
	e.leave(r.whyNot(int(e.group)))
}

// clearDone removes the letters that were replayed and not removed, be it by
// this run or another. What cannot be looked at ends the run.
func (r *run) clearDone() {
	r.mu.Lock()
	var done []*entry
	for i := range r.entries {
		e := &r.entries[i]
		unsettled := e.claim != unclaimed || e.state == left && e.why == Unproven
		if unsettled && e.state != taken && e.state != gone {
			done = append(done, e)
		}
	}
	r.mu.Unlock()
	team, ctx := errgroup.WithContext(r.soft)
	team.SetLimit(looks)
	for _, e := range done {
		team.Go(func() error {
			l, err := r.get(ctx, e)
			if err == nil && l != nil {
				err = r.clear(e, l)
			}
			return err
		})
	}
	if err := team.Wait(); err != nil && r.soft.Err() == nil {
		r.fail(err)
	}
}

// clear removes a letter that needs no replay, after a look at the proof: only
// hashes were compared so far. Without a proof the claim is void; with one that
// went it stays.
func (r *run) clear(e *entry, l *dlq.Stored) error {
	r.mu.Lock()
	by, proof := e.claim, e.proof
	r.mu.Unlock()
	if by == unclaimed {
		return nil
	}
	proven, err := r.proves(r.hard, by, proof, l)
	if errors.Is(err, dlq.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	e.claim, e.unsure = unclaimed, false
	if proven {
		e.state = taken
	} else {
		e.proof = 0
	}
	r.mu.Unlock()
	if proven {
		r.books.note(int(e.group), func(g *GroupReport) { g.Already++ })
		r.remove(l.Seq)
	}
	return nil
}
