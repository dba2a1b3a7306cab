package delivery

import (
	"context"
	"sync"
)

// room counts how many more messages a sender may ask for: what is asked for
// and what waits in its batch never exceed the size.
type room struct {
	size int

	mu    sync.Mutex
	left  int
	grown chan struct{} // holds a token after the room grew
}

func newRoom(size int) *room { return &room{size: size, left: size, grown: make(chan struct{}, 1)} }

// take waits until half the room is free and takes all of it; 0 when ctx ends.
func (r *room) take(ctx context.Context) int {
	for ctx.Err() == nil {
		r.mu.Lock()
		if n := r.left; n >= (r.size+1)/2 {
			r.left = 0
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

func (r *room) free(n int) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	r.left += n
	r.mu.Unlock()
	select {
	case r.grown <- struct{}{}:
	default:
	}
}
