// Package fleet is what the pods know of each other: the shared state in the
// key-value bucket, watched by every pod and changed only by compare-and-set.
// Two things live on it: permits (the right to have one CleverTap call open)
// and holds (a provider set aside for a while, and who may probe it).
//
// It knows the bucket and clocks; it refuses to know events, HTTP and what a
// provider answered. Board.Run owns the one goroutine; everything else runs
// in its callers'.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
)

// writeTimeout bounds one compare-and-set; a leader change takes longer, and
// the caller tries again from what the watch then shows.
const writeTimeout = 4 * time.Second

// stale means that somebody else changed the record first, and what stands
// there now.
type stale struct{ standing record }

func (*stale) Error() string { return "the record changed in the meantime" }

// record is one key of the bucket as this pod saw it last. A deleted key is a
// record with a revision and no value.
type record struct {
	value    []byte
	revision uint64
	seen     time.Time // by this pod's monotonic clock; no clocks are compared between machines
}

// BoardSettings are what a Board needs.
type BoardSettings struct {
	JS     jetstream.JetStream
	Bucket string
	Remake func(context.Context) error         // makes the bucket again when it is gone; nil: nobody does
	Used   func(context.Context) (bool, error) // whether the fleet has ever worked; an empty bucket is then a wiped one. nil: never
	Look   time.Duration                       // how often to look whether the bucket is still the one watched; 0: 5 s
	Log    *slog.Logger
}

// Board is this pod's watched view of the bucket.
type Board struct {
	BoardSettings
	change change
	loaded chan struct{} // closed when the first full view is there

	mu      sync.Mutex
	records map[string]record
	made    time.Time     // when the bucket was made that is watched, by the server's clock
	wipes   int           // how often that was another one than before
	since   time.Time     // when this view began: since then the absent keys are absent
	virgin  bool          // the bucket had never held anything when the first view of it was taken
	changed chan struct{} // closed and replaced at every change
}

// NewBoard is empty until Run has loaded it.
func NewBoard(s BoardSettings) *Board {
	if s.Look == 0 {
		s.Look = 5 * time.Second
	}
	return &Board{BoardSettings: s, change: overJetStream(s.JS.Conn(), s.Bucket), loaded: make(chan struct{}), records: map[string]record{}, changed: make(chan struct{})}
}

// Run watches the bucket until ctx ends, through broker restarts and a bucket
// that is deleted and made again.
func (b *Board) Run(ctx context.Context) {
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		err := b.watch(ctx, spacing.Reset)
		if ctx.Err() != nil {
			return
		}
		b.Log.Debug("fleet state: watching again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(spacing.NextBackOff()):
		}
	}
}

// Loaded is closed once the board has shown the bucket's state for the first time.
func (b *Board) Loaded() <-chan struct{} { return b.loaded }

// wipe forgets everything: no record stands for anything any more, and nobody
// may go by its revision, for another bucket counts them from one again.
func (b *Board) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipes++
	b.since, b.virgin = time.Now(), false
	clear(b.records)
	b.wake()
}

// wiped is how often the bucket was another one than before.
func (b *Board) wiped() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wipes
}

// begin is a full view of the bucket, the first or one after a gap: keys that
// it does not have are dropped, for the bucket was purged or made again while
// nobody watched. Only a first view can tell a bucket that never held anything
// from one that was wiped.
func (b *Board) begin(present map[string]bool, empty bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.loaded:
		b.virgin = false
	default:
		b.virgin = empty
		close(b.loaded)
	}
	b.since = time.Now()
	for key := range b.records {
		if !present[key] {
			delete(b.records, key)
		}
	}
	b.wake()
}

// note takes over a record. A record seen again unchanged keeps the time it was
// first seen. Our own write may show up before an older change that the watch
// still has to bring; the next update mends that, and compare-and-set never
// trusts the board alone.
func (b *Board) note(key string, value []byte, revision uint64) record {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.records[key]; ok && known.revision == revision {
		return known
	}
	noted := record{value: value, revision: revision, seen: time.Now()}
	b.records[key] = noted
	b.wake()
	return noted
}

func (b *Board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// stir wakes whoever waits for a change though no record has changed.
func (b *Board) stir() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// look returns a key's record and a channel that is closed at the next change
// of any key.
func (b *Board) look(key string) (record, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.records[key]
	if !ok {
		known.seen = b.since
	}
	return known, b.changed
}

// unfounded reports whether the bucket may still be without its first record.
// Only a write that the server accepts as the first proves it.
func (b *Board) unfounded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.virgin
}

// founded takes down that the bucket has its first record. What is absent is
// so from now on: whoever was first may still be about to write it.
func (b *Board) founded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since, b.virgin = time.Now(), false
}

// write changes key by compare-and-set; a nil state deletes it. The server's
// ack is the proof; a *stale error carries what stands there instead, and the
// board shows it.
func (b *Board) write(ctx context.Context, key string, state any, after after) (uint64, error) {
	var value []byte
	if state != nil {
		encoded, err := json.Marshal(state)
		if err != nil {
			return 0, fmt.Errorf("encode %s: %w", key, err)
		}
		value = encoded
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	next, standing, err := b.change(ctx, key, value, after)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	if standing != nil {
		return 0, &stale{b.note(key, standing.value, standing.revision)}
	}
	b.note(key, value, next)
	return next, nil
}
