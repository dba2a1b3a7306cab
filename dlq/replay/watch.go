package replay

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/scan"
	"github.com/tokenrelay/tokenrelay/publisher"
)

const (
	watchEvery = 100 * time.Millisecond
	overdueAge = 3 * time.Second // reports are best effort: who is late is looked up
	lookEvery  = 2 * time.Second
)

// watch is what a run knows of the consumers, beside what workers report.
type watch struct {
	mu    sync.Mutex
	ahead map[string]int

	// Of the watching goroutine alone, once that runs.
	looked    uint64 // how far the dead-letter stream was looked at
	lookedAt  time.Time
	delivered map[string]uint64
}

func (w *watch) aheads() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.ahead)
}

// watchOver looks at the consumers of the run's providers until ctx ends.
func (r *run) watchOver(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.lookAround(ctx)
	}
}

func (r *run) lookAround(ctx context.Context) {
	for provider := range r.paces {
		// What cannot be seen now is seen at the next look.
		_ = r.lookAt(ctx, provider)
	}
}

// lookAt finds out how long live events wait, how many are ahead of ours, and
// what became of those that nobody reported.
func (r *run) lookAt(ctx context.Context, provider string) error {
	last, n := r.books.last(provider)
	durable, err := r.events.Consumer(ctx, provider)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if n > 0 {
			r.setAhead(provider, -1)
		}
		return nil
	}
	if err != nil {
		return err
	}
	info := durable.CachedInfo()
	oldest := time.Duration(0)
	if r.options.Yield > 0 && info.NumPending > 0 {
		if oldest, err = r.oldestLive(ctx, info); err != nil {
			return err
		}
	}
	r.paces[provider].observe(oldest, int(info.NumPending))

	ahead := 0
	if last > info.Delivered.Stream {
		ahead = max(0, int(min(info.NumPending, last-info.Delivered.Stream))-n)
		if info.Delivered.Stream != r.watch.delivered[provider] {
			r.books.stir() // ours wait, and the queue before them moves
		}
	}
	r.watch.delivered[provider] = info.Delivered.Stream
	r.setAhead(provider, ahead)

	if overdue := r.books.overdue(provider, overdueAge); len(overdue) > 0 && time.Since(r.watch.lookedAt) >= lookEvery {
		return r.lookUp(ctx, info, overdue)
	}
	return nil
}

func (r *run) setAhead(provider string, n int) {
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	if r.watch.ahead == nil {
		r.watch.ahead = map[string]int{}
	}
	r.watch.ahead[provider] = n
}

// oldestLive is how long the oldest event of an app has waited for a worker to
// take it, by the broker's clock.
func (r *run) oldestLive(ctx context.Context, info *jetstream.ConsumerInfo) (time.Duration, error) {
	m, err := r.events.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(consumer.EventsSubject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	now := info.TimeStamp
	if now.IsZero() {
		now = time.Now()
	}
	return max(0, now.Sub(m.Time)), nil
}

// lookUp tells from the streams what became of the overdue. The consumer was
// looked at before the letters: what was settled then had put its letter.
func (r *run) lookUp(ctx context.Context, info *jetstream.ConsumerInfo, overdue map[uint64]flight) error {
	area := scan.Range{Stream: dlq.Stream, From: r.watch.looked + 1, HeadersOnly: true}
	for m, err := range scan.Messages(ctx, r.js, area) {
		if err != nil {
			return err
		}
		seq, err := strconv.ParseUint(m.Header.Get(dlq.HeaderOriginSeq), 10, 64)
		if err == nil && m.Header.Get(dlq.HeaderOriginStream) == consumer.EventsStream {
			r.books.heard(publisher.Outcome{StreamSeq: seq, Outcome: "dead", Provider: m.Header.Get(dlq.HeaderProvider),
				Code: m.Header.Get(dlq.HeaderCode), Reason: m.Header.Get(dlq.HeaderReason)})
		}
		r.watch.looked = m.Seq
	}
	r.watch.lookedAt = time.Now()
	nothing := info.NumPending == 0 && info.NumAckPending == 0
	for seq := range overdue {
		if info.AckFloor.Stream >= seq || nothing && info.Delivered.Stream >= seq {
			r.books.settled(seq)
		}
	}
	return nil
}
