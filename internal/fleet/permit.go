package fleet

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Permit is the right to have one call open, held by one sender. It keeps
// itself renewed until it is given back or lost.
type Permit struct {
	from   *Permits
	number int
	bucket int // the board's count of wipes when it was taken
	record PermitRecord

	lost   chan struct{} // closed when it is not ours any more, against our will
	wanted chan struct{} // closed when a borrower asked for it
	end    chan struct{} // closed by GiveBack
	ended  chan struct{} // closed when the renewing has ended

	mu       sync.Mutex
	revision uint64
	sent     time.Time     // when the last acknowledged renewal was sent
	renewed  chan struct{} // closed and replaced at each renewal
	lend     string        // the borrower it is given back for
}

// Number is the sender's place: a trickle of events goes to the lowest.
func (p *Permit) Number() int { return p.number }

// Lost is closed when the permit is not this pod's any more. No call may start
// after that, and nothing is to be given back.
func (p *Permit) Lost() <-chan struct{} { return p.lost }

// Wanted is closed when a borrower asked for the permit: its sender gives it
// back after its call.
func (p *Permit) Wanted() <-chan struct{} { return p.wanted }

// left is what is left of the lease, counted from when the last successful
// renewal was sent, by the clock that is further on: a suspended machine stops
// the monotonic one.
func (p *Permit) left() (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	passed := max(now.Sub(p.sent), now.Round(0).Sub(p.sent.Round(0)))
	return p.from.Lease - passed, p.renewed
}

// Await returns the moment until which a call that starts now is covered: it
// ends by its own time-out before the lease does. While the lease is too short
// for a call it waits for the next renewal. It reports false when the permit
// is lost or ctx ends.
func (p *Permit) Await(ctx context.Context) (until time.Time, ok bool) {
	for {
		select {
		case <-p.lost:
			return time.Time{}, false
		default:
		}
		left, renewed := p.left()
		if left > p.from.Call {
			return time.Now().Add(left), true
		}
		select {
		case <-renewed:
		case <-p.lost:
			return time.Time{}, false
		case <-ctx.Done():
			return time.Time{}, false
		}
	}
}

// keep renews until the permit is given back, refused, or too old to be saved.
// When the board shows something else in its place (another pod's record, or
// nothing: it was purged), it asks at once. With another bucket it is lost.
func (p *Permit) keep() {
	defer close(p.ended)
	timer := time.NewTimer(p.from.Renewal)
	defer timer.Stop()
	var doubted time.Time // when what was last asked about was seen
	for {
		rec, changed := p.from.Board.look(permitKey(p.from.Provider, p.number))
		if p.from.Board.wiped() != p.bucket {
			p.lose("the bucket that it stood in is gone")
			return
		}
		if p.wrote(rec) || rec.seen.Equal(doubted) {
			select {
			case <-p.end:
				return
			case <-changed:
				continue
			case <-timer.C:
			}
		} else {
			doubted = rec.seen
		}
		next := p.from.Renewal
		switch err := p.renew(); {
		case err == nil:
		case errors.Is(err, errLost):
			p.lose("another pod has it")
			return
		default:
			p.from.Log.Warn("permit not renewed", "permit", p.number, "err", err)
			next = p.from.Lease / 24
		}
		if left, _ := p.left(); left <= 0 {
			p.lose("it could not be renewed in time")
			return
		}
		timer.Reset(next)
	}
}

// wrote tells whether a record is this permit's own.
func (p *Permit) wrote(rec record) bool {
	standing, present := decodePermit(rec)
	return present && standing.Nonce == p.record.Nonce
}

var errLost = errors.New("the permit is another pod's")

// renew writes the record once more. An answer that was lost shows as a change
// by ourselves: its revision is taken over, and it gives no new validity.
func (p *Permit) renew() error {
	ctx, cancel := context.WithTimeout(context.Background(), max(p.from.Lease/8, 50*time.Millisecond))
	defer cancel()
	for {
		sent := time.Now()
		p.mu.Lock()
		revision := p.revision
		p.mu.Unlock()
		next, err := p.from.Board.write(ctx, permitKey(p.from.Provider, p.number), p.record, revisionOf(revision))
		if err == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.revision, p.sent = next, sent
			close(p.renewed)
			p.renewed = make(chan struct{})
			return nil
		}
		s, ok := errors.AsType[*stale](err)
		if !ok {
			return err
		}
		if !p.wrote(s.standing) {
			return errLost
		}
		if s.standing.revision == revision { // a competing write is still in flight
			if err := waitFor(ctx, nil, 20*time.Millisecond); err != nil {
				return err
			}
		}
		p.mu.Lock()
		p.revision = s.standing.revision
		p.mu.Unlock()
	}
}

// lose forgets the permit. It is neither renewed nor freed: it may be another
// pod's by now. A call that is still open ends within its time-out, so this
// pod takes no permit before that.
func (p *Permit) lose(why string) {
	p.from.mu.Lock()
	delete(p.from.held, p.number)
	p.from.barred = time.Now().Add(p.from.Call)
	p.from.mu.Unlock()
	p.from.Log.Warn("permit lost", "permit", p.number, "why", why)
	close(p.lost)
}

// GiveBack frees the permit at once, for whoever waits, or for who asked to
// borrow it. It must be called once, when no call is open; for a lost permit
// it does nothing.
func (p *Permit) GiveBack(ctx context.Context) {
	close(p.end)
	<-p.ended
	select {
	case <-p.lost:
		return
	default:
	}
	p.mu.Lock()
	free := PermitRecord{Since: time.Now().UTC(), Reserved: p.lend}
	revision := p.revision
	p.mu.Unlock()
	err := errLost
	if p.from.Board.wiped() == p.bucket {
		_, err = p.from.Board.write(ctx, permitKey(p.from.Provider, p.number), free, revisionOf(revision))
	}
	p.from.mu.Lock()
	delete(p.from.held, p.number)
	if err != nil { // ours or not, it comes free when its lease is over
		p.from.barred = time.Now().Add(p.from.Call)
	}
	p.from.mu.Unlock()
	if err != nil {
		p.from.Log.Warn("permit not given back; its lease ends it", "permit", p.number, "err", err)
	}
}
