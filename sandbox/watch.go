package sandbox

import (
	"context"
	"sync"
	"sync/atomic"
)

// watch wakes those who wait for a change; it costs nothing while nobody does.
type watch struct {
	watchers atomic.Int64
	mu       sync.Mutex
	next     chan struct{}
}

func (w *watch) changed() {
	if w.watchers.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		close(w.next)
		w.next = nil
	}
}

// change is closed at the next change.
func (w *watch) change() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		w.next = make(chan struct{})
	}
	return w.next
}

// until waits for a condition, looking again after every change.
func (w *watch) until(ctx context.Context, holds func() bool) error {
	w.watchers.Add(1)
	defer w.watchers.Add(-1)
	for {
		change := w.change()
		if holds() {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
