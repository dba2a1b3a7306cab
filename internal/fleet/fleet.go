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
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// writeTimeout bounds one compare-and-set; a leader change takes longer, and
// the caller tries again from what the watch then shows.
const writeTimeout = 4 * time.Second

// errStale means that somebody else changed the record first.
var errStale = errors.New("the record changed in the meantime")

// record is one key of the bucket as this pod saw it last. A deleted key is a
// record with a revision and no value.
type record struct {
	value    []byte
	revision uint64
	seen     time.Time // by this pod's monotonic clock; no clocks are compared between machines
}

// Board is this pod's watched view of the bucket.
type Board struct {
	nc     *nats.Conn
	kv     jetstream.KeyValue
	log    *slog.Logger
	loaded chan struct{} // closed when the first full view is there

	mu      sync.Mutex
	records map[string]record
	changed chan struct{} // closed and replaced at every change
}

// NewBoard is empty until Run has loaded it.
func NewBoard(nc *nats.Conn, kv jetstream.KeyValue, log *slog.Logger) *Board {
	return &Board{nc: nc, kv: kv, log: log, loaded: make(chan struct{}), records: map[string]record{}, changed: make(chan struct{})}
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
		b.log.Debug("fleet state: watching again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(spacing.NextBackOff()):
		}
	}
}

// Loaded is closed once the board has shown the bucket's state for the first time.
func (b *Board) Loaded() <-chan struct{} { return b.loaded }

func (b *Board) watch(ctx context.Context, healthy func()) error {
	watcher, err := b.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch %s: %w", b.kv.Bucket(), err)
	}
	defer func() { _ = watcher.Stop() }()
	initial := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return errors.New("the watch ended")
			case entry == nil:
				healthy()
				b.forgetAllBut(initial)
				initial = nil
				b.markLoaded()
			default:
				if initial != nil {
					initial[entry.Key()] = true
				}
				var value []byte
				if entry.Operation() == jetstream.KeyValuePut {
					value = entry.Value()
				}
				b.note(entry.Key(), value, entry.Revision())
			}
		}
	}
}

func (b *Board) markLoaded() {
	select {
	case <-b.loaded:
	default:
		close(b.loaded)
	}
}

// forgetAllBut drops keys that a fresh view of the bucket no longer has: the
// bucket was purged or made again while nobody watched.
func (b *Board) forgetAllBut(present map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
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
func (b *Board) note(key string, value []byte, revision uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.records[key]; ok && known.revision == revision {
		return
	}
	b.records[key] = record{value: value, revision: revision, seen: time.Now()}
	b.wake()
}

func (b *Board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns a key's record and a channel that is closed at the next change
// of any key.
func (b *Board) look(key string) (record, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records[key], b.changed
}

// write changes key from the given revision (0: it was never there) by
// compare-and-set; a nil state deletes it. The server's ack is the proof. On
// errStale the board already shows what stands there instead.
func (b *Board) write(ctx context.Context, key string, state any, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	message := nats.NewMsg("$KV." + b.kv.Bucket() + "." + key)
	if state == nil {
		message.Header.Set("KV-Operation", "DEL")
	} else {
		value, err := json.Marshal(state)
		if err != nil {
			return 0, fmt.Errorf("encode %s: %w", key, err)
		}
		message.Data = value
	}
	message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(revision))
	answer, err := b.nc.RequestMsgWithContext(ctx, message)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("write %s: unreadable answer: %w", key, err)
	}
	if ack.Error != nil {
		if ack.Error.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || ack.Error.ErrorCode == wrongLastSequenceReplicated {
			if err := b.reread(ctx, key); err != nil {
				return 0, errors.Join(errStale, err)
			}
			return 0, errStale
		}
		return 0, fmt.Errorf("write %s: %w", key, ack.Error)
	}
	b.note(key, message.Data, ack.Seq)
	return ack.Seq, nil
}

// wrongLastSequenceReplicated is the same refusal from a replicated stream
// that still has the competing write in flight.
const wrongLastSequenceReplicated jetstream.ErrorCode = 10164

// reread asks the stream's leader: a direct read may be answered by a replica
// that has not seen the competing write yet.
func (b *Board) reread(ctx context.Context, key string) error {
	request := fmt.Sprintf(`{"last_by_subj":"$KV.%s.%s"}`, b.kv.Bucket(), key)
	answer, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.KV_"+b.kv.Bucket(), []byte(request))
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	var stored struct {
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
			Head []byte `json:"hdrs"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &stored); err != nil {
		return fmt.Errorf("read %s: unreadable answer: %w", key, err)
	}
	if stored.Error != nil {
		if stored.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			b.note(key, nil, 0)
			return nil
		}
		return fmt.Errorf("read %s: %w", key, stored.Error)
	}
	b.note(key, stored.Message.Data, stored.Message.Seq)
	return nil
}
