package replay

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The window is how many replays of a provider may be under way, in the stream
// and in the workers' hands. Live events queue behind what stands in the
// stream, so it grows only as far as the workers keep up.
const (
	firstWindow = 100 // one full call
	leastWindow = 10
	mostWindow  = 4000
)

// pressure is what a look at a provider's consumer shows.
type pressure struct {
	oldest   time.Duration // how long the oldest live event has waited for a worker to take it
	unread   int           // events that no worker has taken
	underWay int           // replays of this run without an outcome
}

// adapt is the next window, and whether to yield altogether. With a limit of
// 0 nobody yields.
func adapt(window int, seen pressure, limit time.Duration) (next int, yields bool) {
	switch {
	case limit == 0:
		return mostWindow, false
	case seen.oldest > limit:
		return max(leastWindow, window/2), true
	case seen.unread > window/2:
		return max(leastWindow, window*3/4), false
	case seen.unread <= window/4 && seen.underWay > window/2:
		return min(mostWindow, window+window/2), false // the window is what holds us up
	}
	return window, false
}

// pace lets the replays of one provider go one by one.
type pace struct {
	limiter *rate.Limiter // of the whole run; nil: none
	yield   time.Duration
	careful bool // of a group no more are under way than it has earned
	wait    time.Duration
	idle    func() time.Duration // how long no outcome has become known

	mu       sync.Mutex
	window   int
	yields   bool // to live events
	oldest   time.Duration
	underWay int
	groups   map[int]standing
	changed  chan struct{} // closed and replaced at every change
}

// standing is what is known of a group: a few go at first, then as many at a
// time as were delivered of it. So what still goes when it is stopped is never
// more than what went well before.
type standing struct{ underWay, delivered int }

func (s standing) room() bool { return s.underWay < max(firstWindow, s.delivered) }

func newPace(limiter *rate.Limiter, o Options, idle func() time.Duration) *pace {
	window, _ := adapt(firstWindow, pressure{}, o.Yield)
	return &pace{limiter: limiter, yield: o.Yield, careful: o.MaxFail > 0, wait: cmp.Or(o.Wait, DefaultWait), idle: idle,
		window: window, groups: map[int]standing{}, changed: make(chan struct{})}
}

// errUnanswered ends a lane that waits for outcomes, and none comes.
var errUnanswered = errors.New("no outcome has become known")

// enter waits for a place under way; the error is ctx's, or errUnanswered. The
// few of a trial queue behind the live events: they need no room, and yield to
// nobody.
func (p *pace) enter(ctx context.Context, group int, trial bool) error {
	if p.limiter != nil {
		if err := p.limiter.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
	for began := time.Now(); ; {
		p.mu.Lock()
		of, yields := p.groups[group], p.yields
		if trial || !yields && p.underWay < p.window && (!p.careful || of.room()) {
			p.underWay++
			of.underWay++
			p.groups[group] = of
			p.mu.Unlock()
			return ctx.Err()
		}
		changed := p.changed
		p.mu.Unlock()
		if yields {
			began = time.Now() // for live events it waits as long as it takes
		}
		left := p.wait - min(p.idle(), time.Since(began))
		if left <= 0 {
			return errUnanswered
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// leave gives a place back: the outcome is known, or nothing was sent.
func (p *pace) leave(group int, delivered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.groups[group]
	p.underWay--
	of.underWay--
	if delivered {
		of.delivered++
	}
	p.groups[group] = of
	p.wake()
}

// observe takes over what a look at the consumer shows.
func (p *pace) observe(oldest time.Duration, unread int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window, p.yields = adapt(p.window, pressure{oldest, unread, p.underWay}, p.yield)
	p.oldest = oldest
	p.wake()
}

func (p *pace) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// yielding reports whether live events are being yielded to, and how long the
// oldest has waited.
func (p *pace) yielding() (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.yields, p.oldest
}
