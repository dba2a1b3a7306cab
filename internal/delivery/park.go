package delivery

import (
	"sync"
	"time"
)

// parkedFull is how long a record is given back for when the lot is full.
const parkedFull = 30 * time.Second

// parkingLot keeps single records, in progress, until their time comes.
type parkingLot struct {
	capacity int
	out      chan<- *item
	closed   chan struct{}
	offering sync.WaitGroup

	mu     sync.Mutex
	taken  int // parked and offered ones
	parked map[*item]*time.Timer
}

func newParkingLot(capacity int, out chan<- *item) *parkingLot {
	return &parkingLot{capacity: capacity, out: out, closed: make(chan struct{}), parked: map[*item]*time.Timer{}}
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
	l.parked[it] = time.AfterFunc(delay, func() {
		defer l.offering.Done()
		l.offer(it)
	})
	return true
}

func (l *parkingLot) offer(it *item) {
	l.mu.Lock()
	delete(l.parked, it)
	l.mu.Unlock()
	select {
	case l.out <- it:
		l.mu.Lock()
		l.taken--
		l.mu.Unlock()
	case <-l.closed:
		it.message.Nak(giveBackDelay)
	}
}

// close gives back what is parked; nothing can be parked any more.
func (l *parkingLot) close() {
	l.mu.Lock()
	close(l.closed)
	for it, timer := range l.parked {
		if timer.Stop() {
			it.message.Nak(giveBackDelay)
			l.offering.Done()
		}
	}
	l.mu.Unlock()
	l.offering.Wait()
}
