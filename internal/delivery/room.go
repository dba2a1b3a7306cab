package delivery

import (
	"context"
	"sync"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// room counts how much more a sender may ask for. In messages: those asked for
// and those waiting in its batch never exceed the size. In bytes: those asked
// for and those in hand, until their call is over, never exceed the limit.
type room struct {
	size  int
	share int // bytes that a pull may bring for each message it asks for

	mu    sync.Mutex
	left  int           // messages that may be asked for
	asked int           // asked for and not arrived yet
	bytes int           // that may be asked for; what an open pull brings counts twice until it is over
	grown chan struct{} // holds a token after something changed
}

func newRoom(size, bytes int) *room {
	bytes = max(bytes, consumer.Largest) // or no pull would ever be worth while
	return &room{size: size, share: bytes / (2 * size), left: size, bytes: bytes, grown: make(chan struct{}, 1)}
}

// order is what one pull may bring.
type order struct {
	messages, bytes int
}

// take waits until a pull is worth while and takes all the room for it: half
// the size, so that pulls stay few, or less when everything asked for has
// arrived, so that no batch stays short of the events that took no place in
// it. It returns an empty order when ctx ends.
func (r *room) take(ctx context.Context) order {
	for ctx.Err() == nil {
		r.mu.Lock()
		if n := r.left; r.worthAPull() {
			o := order{n, min(max(n*r.share, consumer.Largest), r.bytes)}
			r.left, r.asked, r.bytes = 0, r.asked+n, r.bytes-o.bytes
			r.mu.Unlock()
			return o
		}
		r.mu.Unlock()
		select {
		case <-r.grown:
		case <-ctx.Done():
		}
	}
	return order{}
}

func (r *room) worthAPull() bool {
	return r.bytes >= consumer.Largest && (r.left >= (r.size+1)/2 || r.left > 0 && r.asked == 0)
}

// arrived notes a message that was asked for; it keeps its place in the batch
// unless it ended on arrival.
func (r *room) arrived(kept bool, bytes int) {
	r.change(func() {
		r.asked--
		if kept {
			r.bytes -= bytes
			return
		}
		r.left++
	})
}

// over notes the end of a pull, and messages of it that will not arrive. It
// reports whether there is no room for another one before a call is over.
func (r *room) over(o order, missing int) (exhausted bool) {
	r.change(func() {
		r.asked -= missing
		r.left += missing
		r.bytes += o.bytes
		exhausted = r.asked == 0 && !r.worthAPull()
	})
	return exhausted
}

// sent notes a batch that left for a call.
func (r *room) sent(n int) { r.change(func() { r.left += n }) }

// done notes bytes that are no longer in hand.
func (r *room) done(bytes int) { r.change(func() { r.bytes += bytes }) }

func (r *room) change(how func()) {
	r.mu.Lock()
	how()
	worth := r.worthAPull()
	r.mu.Unlock()
	if !worth {
		return
	}
	select {
	case r.grown <- struct{}{}:
	default:
	}
}
