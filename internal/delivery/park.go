package delivery

import (
	"sync"
	"time"
)

// parkedFull is how long a record is given back for when the lot is full.
const parkedFull = 30 * time.Second

// parkingLot keeps single records, in progress, until their time comes. Then a
// sender takes them; where there is none, because this pod lost its permits,
// they are given back for another pod. They expire like all others.
type parkingLot struct {
	capacity int
	out      chan<- *item
	ends     ends
	closed   chan struct{}
	offering sync.WaitGroup

	mu       sync.Mutex
	taken    int // parked and offered ones
	parked   map[*item]*time.Timer
	senders  int
	deserted chan struct{} // closed while there are none
}

// ends are what becomes of a parked record that no sender takes.
type ends struct {
	untilExpiry func(*item) time.Duration
	expire      func(*item)
	giveBack    func(*item)
}

func newParkingLot(capacity int, out chan<- *item, e ends) *parkingLot {
	deserted := make(chan struct{})
	close(deserted)
	return &parkingLot{capacity: capacity, out: out, ends: e, closed: make(chan struct{}), parked: map[*item]*time.Timer{}, deserted: deserted}
}

// enter is a sender that takes what is offered, until it leaves.
func (l *parkingLot) enter() (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.senders++; l.senders == 1 {
		l.deserted = make(chan struct{})
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.senders--; l.senders == 0 {
			close(l.deserted)
		}
	}
}

// park offers the item to a sender after the delay. It reports false, and
// keeps nothing, when the lot is full or closed.
func (l *parkingLot) park(it *item, delay time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return false
	default:
	}
	if l.taken >= l.capacity {
		return false
	}
	l.taken++
	l.offering.Add(1)
	l.parked[it] = time.AfterFunc(min(delay, l.ends.untilExpiry(it)), func() {
		defer l.offering.Done()
		l.offer(it)
	})
	return true
}

func (l *parkingLot) offer(it *item) {
	l.mu.Lock()
	delete(l.parked, it)
	deserted := l.deserted
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.taken--
		l.mu.Unlock()
	}()
	left := l.ends.untilExpiry(it)
	if left <= 0 {
		l.ends.expire(it)
		return
	}
	expiry := time.NewTimer(left)
	defer expiry.Stop()
	select {
	case l.out <- it:
	case <-expiry.C:
		l.ends.expire(it)
	case <-deserted:
		l.ends.giveBack(it)
	case <-l.closed:
		l.ends.giveBack(it)
	}
}

// close gives back what is parked; nothing can be parked any more.
func (l *parkingLot) close() {
	l.mu.Lock()
	close(l.closed)
	for it, timer := range l.parked {
		if timer.Stop() {
			l.ends.giveBack(it)
			l.offering.Done()
		}
	}
	l.mu.Unlock()
	l.offering.Wait()
}
