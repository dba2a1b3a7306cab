package console

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// tally keeps the letters' groups counted while somebody looks: a pass over a
// million letters takes seconds, so pages share one, and it rests in between.
type tally struct {
	letters *dlq.Reader
	most    time.Duration // for one pass
	ask     chan struct{} // somebody looks
	anew    chan struct{} // what was counted is known to be old

	mu     sync.Mutex
	groups []dlq.Group
	total  int
	at     time.Time // of the last count; zero: never
	slow   bool      // the last count took longer than a page waits
	err    error     // of the last look
	looked chan struct{}
}

const (
	tallyRest  = 250 * time.Millisecond // at least, between two passes
	tallyRests = 5                      // times as long as the pass took
	tallyAsks  = 5 * time.Second        // for the question whether anything has changed
	tallyMost  = 10 * time.Minute       // for one pass: some ten million letters, on a slow line
	tallyWait  = 1 * time.Second        // of a page for figures of now
)

// errTooLong ends a pass of more than tallyMost.
var errTooLong = errors.New("the count took over ten minutes and was given up; it is tried again after a rest")

func newTally(letters *dlq.Reader) *tally {
	return &tally{letters: letters, most: tallyMost, ask: make(chan struct{}, 1), anew: make(chan struct{}, 1), looked: make(chan struct{})}
}

// counted is what the last pass found.
type counted struct {
	Groups  []dlq.Group // the largest first
	Total   int
	Known   bool
	At      time.Time // of the count
	Slow    bool      // it takes long, so it may be old
	Missing bool      // the stream itself
	Err     string
}

func (t *tally) now() counted {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := counted{Groups: t.groups, Total: t.total, Known: !t.at.IsZero(), At: t.at, Slow: t.slow}
	c.Missing = errors.Is(t.err, jetstream.ErrStreamNotFound)
	c.Err = errorLine(t.err)
	return c
}

// poke asks for a look.
func (t *tally) poke() {
	select {
	case t.ask <- struct{}{}:
	default: // it is asked for already
	}
}

// again lets the next look not wait for the end of a rest.
func (t *tally) again() {
	select {
	case t.anew <- struct{}{}:
	default:
	}
	t.poke()
}

// fresh is now, after a look at the stream where that is quick.
func (t *tally) fresh(ctx context.Context) counted {
	t.mu.Lock()
	looked, slow := t.looked, t.slow
	t.mu.Unlock()
	t.poke()
	if slow {
		return t.now()
	}
	timer := time.NewTimer(tallyWait)
	defer timer.Stop()
	select {
	case <-looked:
	case <-timer.C:
	case <-ctx.Done():
	}
	return t.now()
}

// run counts whenever somebody asks and the stream has changed, until ctx ends.
func (t *tally) run(ctx context.Context) {
	var seen dlq.Extent
	var err error
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.ask:
		}
		began := time.Now()
		seen, err = t.look(ctx, seen)
		timer := time.NewTimer(restAfter(time.Since(began), err))
		select {
		case <-timer.C:
		case <-t.anew:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// restAfter is how long nothing is read after a pass, so that most of the time
// nothing is. A broker that was away may be back at any moment.
func restAfter(took time.Duration, err error) time.Duration {
	if err != nil && !errors.Is(err, errTooLong) {
		return tallyRest
	}
	return max(tallyRest, tallyRests*took)
}

// look counts the groups when the stream is not as it was seen last; the zero
// extent is of one that nobody has seen. It returns what it has seen.
func (t *tally) look(ctx context.Context, seen dlq.Extent) (dlq.Extent, error) {
	ctx, end := context.WithCancelCause(ctx) // without a deadline: the broker has its own time for each answer
	defer end(nil)
	late := time.AfterFunc(t.most, func() { end(errTooLong) })
	defer late.Stop()
	began := time.Now()
	asking, answered := context.WithTimeout(ctx, tallyAsks)
	extent, err := t.letters.Extent(asking)
	answered()
	if err == nil && extent == seen {
		t.note(func() { t.err = nil })
		return seen, nil
	}
	var groups []dlq.Group
	if err == nil {
		groups, err = t.letters.Groups(ctx, dlq.Filter{}, extent.Last)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		t.note(func() {
			switch t.err = err; {
			case errors.Is(err, jetstream.ErrStreamNotFound): // and what was counted with it
				t.groups, t.total, t.at, t.slow = nil, 0, time.Time{}, false
			case errors.Is(err, errTooLong):
				t.slow = true
			}
		})
		return dlq.Extent{}, err
	}
	t.note(func() {
		t.groups, t.total, t.at, t.slow, t.err = groups, 0, time.Now(), time.Since(began) > tallyWait, nil
		for _, g := range groups {
			t.total += g.Count
		}
	})
	return extent, nil
}

func (t *tally) note(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	close(t.looked)
	t.looked = make(chan struct{})
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
