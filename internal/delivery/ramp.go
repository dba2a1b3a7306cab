package delivery

import (
	"context"
	"sync"
)

// ramp lets a pod's open calls grow again after a hold: one at first, one more
// with each accepted call, so that a provider that comes back is not met by
// everything that waited.
type ramp struct {
	full int // calls open at the most

	mu    sync.Mutex
	limit int
	open  int
	moved chan struct{} // closed and replaced when a place may be free
}

func newRamp(full int) *ramp { return &ramp{full: full, limit: full, moved: make(chan struct{})} }

// enter waits for a place; it reports false when ctx ends first.
func (r *ramp) enter(ctx context.Context) bool {
	for {
		r.mu.Lock()
		if r.open < r.limit {
			r.open++
			r.mu.Unlock()
			return true
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// leave frees the place; an accepted call makes room for one more.
func (r *ramp) leave(accepted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wasFull := r.open >= r.limit
	r.open--
	if accepted && r.limit < r.full {
		r.limit++
	}
	if wasFull {
		close(r.moved)
		r.moved = make(chan struct{})
	}
}

// restart begins again with one call: the provider is held.
func (r *ramp) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = 1
}
