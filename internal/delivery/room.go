package delivery

import (
	"context"
	"sync"
)

// room counts how many more messages a sender may ask for: those asked for and
// those waiting in its batch never exceed the size.
type room struct {
	size int

	mu    sync.Mutex
	left  int           // may be asked for
	asked int           // asked for and not arrived yet
	grown chan struct{} // holds a token after something changed
}

func newRoom(size int) *room { return &room{size: size, left: size, grown: make(chan struct{}, 1)} }

// take waits until a pull is worth while and takes all the room for it: half
// the size, so that pulls stay few, or less when everything asked for has
// arrived, so that no batch stays short of the events that took no place in
// it. It returns 0 when ctx ends.
func (r *room) take(ctx context.Context) int {
	for ctx.Err() == nil {
		r.mu.Lock()
		if n := r.left; r.worthAPull() {
			r.left, r.asked = 0, r.asked+n
			r.mu.Unlock()
			return n
		}
		r.mu.Unlock()
		select {
		case <-r.grown:
		case <-ctx.Done():
		}
	}
	return 0
}

func (r *room) worthAPull() bool {
	return r.left >= (r.size+1)/2 || r.left > 0 && r.asked == 0
}

// arrived notes a message that was asked for; it keeps its place in the batch
// unless it ended on arrival.
func (r *room) arrived(kept bool) {
	r.change(func() {
		r.asked--
		if !kept {
			r.left++
		}
	})
}

// missed notes messages that were asked for and will not arrive.
func (r *room) missed(n int) { r.change(func() { r.asked -= n; r.left += n }) }

// sent notes a batch that left for a call.
func (r *room) sent(n int) { r.change(func() { r.left += n }) }

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
