// Package batcher collects items into batches by count and by age, or until its
// adder has no room for more. It knows neither what an item is nor where a
// batch goes; it retries nothing and drops nothing.
//
// A Batcher owns one goroutine. New starts it; it ends when the last batch
// was taken after Close, or at Abandon. Who calls New must see to one of the
// two.
package batcher

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed is what Add returns once the batcher was closed or abandoned.
var ErrClosed = errors.New("batcher: closed")

// Trigger is why a batch was handed out; a closed set, fit for a metric label.
type Trigger string

// The triggers. A batch that was offered by age and filled up before it was
// taken counts as Count.
const (
	Count Trigger = "count" // it is full, or flushed
	Age   Trigger = "age"   // its first item has waited long enough
	Drain Trigger = "drain" // Close flushed it
)

// Batch is what one receive from Batches yields. Its items, one to size, in
// the order of their Adds, belong to the receiver.
type Batch[T any] struct {
	Items   []T
	Trigger Trigger
}

// Batcher collects items. All its methods may be called from many goroutines.
type Batcher[T any] struct {
	size int
	wait time.Duration

	in  chan T        // unbuffered: what Add handed over is in the batch, nowhere between
	out chan Batch[T] // unbuffered: a batch that nobody takes goes on filling

	flushing            chan struct{} // unbuffered
	closing, abandoning chan struct{} // told to the goroutine, each closed once
	closeOnce           sync.Once
	abandonOnce         sync.Once

	sealed, done chan struct{} // told by the goroutine: takes no more items; has ended
	rest         []T           // what Abandon gets; written before done is closed
}

// New starts a batcher of batches of at most size items, each offered when it
// is full or, if that is earlier, wait after its first item was added. With a
// wait of zero a batch is offered from its first item on. It panics when size
// is below one.
func New[T any](size int, wait time.Duration) *Batcher[T] {
	if size < 1 {
		panic("batcher: size must be at least 1")
	}
	b := &Batcher[T]{
		size:       size,
		wait:       wait,
		in:         make(chan T),
		out:        make(chan Batch[T]),
		flushing:   make(chan struct{}),
		closing:    make(chan struct{}),
		abandoning: make(chan struct{}),
		sealed:     make(chan struct{}),
		done:       make(chan struct{}),
	}
	go b.run()
	return b
}

// Add hands over one item. It blocks while the batch is full and nobody has
// taken it. On an error, ctx's or ErrClosed, the item was not taken; without
// one it will be in exactly one batch, or in what Abandon returns.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	select {
	case b.in <- item:
		return nil
	case <-b.sealed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Batches yields each batch once, to one receiver. While an offered batch is
// not taken it keeps filling up to its size. The channel is closed after
// Close, once the last batch was taken, and at Abandon.
func (b *Batcher[T]) Batches() <-chan Batch[T] { return b.out }

// Flush offers what there is as if it were full: its adder has no room for
// more. It goes on filling until it is taken.
func (b *Batcher[T]) Flush() {
	select {
	case b.flushing <- struct{}{}:
	case <-b.sealed:
	}
}

// Close ends adding: once it has returned no item is taken any more. What is
// left is offered at once, with trigger Drain.
func (b *Batcher[T]) Close() {
	b.closeOnce.Do(func() { close(b.closing) })
	<-b.sealed
}

// Abandon ends everything at once, for a consumer that takes no more batches:
// the first call returns the items that are in no batch taken, in order.
func (b *Batcher[T]) Abandon() []T {
	var rest []T
	b.abandonOnce.Do(func() {
		close(b.abandoning)
		<-b.done
		rest = b.rest
	})
	return rest
}

// run owns the batch. A channel that must not be used now is nil; a timer
// that must not fire is stopped, and then it does not (Go 1.23).
func (b *Batcher[T]) run() {
	defer close(b.done)
	defer close(b.out)

	var (
		batch   Batch[T]
		in      = b.in        // nil while the batch is full, and for good once closed
		out     chan Batch[T] // nil unless the batch is offered
		closing = b.closing   // nil once closed
	)
	timer := time.NewTimer(b.wait) // runs from a batch's first item until the batch is taken
	timer.Stop()
	offer := func(why Trigger) { batch.Trigger, out = why, b.out }

	for {
		select {
		case item := <-in:
			if len(batch.Items) == 0 {
				batch.Items = make([]T, 0, b.size)
				timer.Reset(b.wait)
			}
			batch.Items = append(batch.Items, item)
			if len(batch.Items) == b.size {
				offer(Count)
				in = nil
			}

		case <-timer.C:
			if out == nil {
				offer(Age)
			}

		case <-b.flushing:
			if out == nil && len(batch.Items) > 0 {
				offer(Count)
			}

		case out <- batch:
			batch, out = Batch[T]{}, nil
			timer.Stop()
			if closing == nil {
				return
			}
			in = b.in

		case <-closing:
			closing, in = nil, nil
			close(b.sealed)
			if len(batch.Items) == 0 {
				return
			}
			if out == nil {
				offer(Drain)
			}

		case <-b.abandoning:
			if closing != nil {
				close(b.sealed)
			}
			b.rest = batch.Items
			return
		}
	}
}
