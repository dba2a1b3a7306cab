package flow

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
)

const (
	// together is how long what happens at once is gathered for one snapshot.
	together = 100 * time.Millisecond
	// resumeTimeout bounds the wait for a first view of the fleet's bucket.
	resumeTimeout = 10 * time.Second
)

// Settings are what a Watch needs.
type Settings struct {
	// JS has a connection with nats.PermissionErrOnSubscribe: without it the
	// watch never knows that it is deaf.
	JS    jetstream.JetStream
	Log   *slog.Logger  // nil: silence
	Every time.Duration // a round: between two questions to the broker; 0: Every
	Wait  time.Duration // how long one round of questions may take; 0: 5 s
}

// Watch listens to the workers and asks the broker. All methods are safe for
// concurrent use; Run is called once.
type Watch struct {
	Settings
	board   *fleet.Board
	holds   *fleet.Holds
	permits map[string]*fleet.Permits
	news    chan struct{} // holds a token after something was heard

	mu      sync.Mutex
	books   *books
	alive   bool // the broker gave a sign of life in this round
	deaf    bool // the broker did not let us listen the last time
	answers map[string]answer
	letters map[string]uint64 // those that are known
	refused [questions]string // why the broker did not answer the last time; empty: it did
	last    Snapshot
	changed chan struct{} // closed and replaced at each snapshot
}

// NewWatch begins to count now; what is heard begins with Run.
func NewWatch(s Settings) *Watch {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Every == 0 {
		s.Every = Every
	}
	if s.Wait == 0 {
		s.Wait = askTimeout
	}
	board := fleet.NewBoard(fleet.BoardSettings{JS: s.JS, Bucket: consumer.FleetBucket, Log: s.Log})
	w := &Watch{
		Settings: s, board: board, holds: fleet.NewHolds(board, "", fleet.Schedule{}, 0, s.Log),
		permits: map[string]*fleet.Permits{}, news: make(chan struct{}, 1),
		books: newBooks(time.Now()), answers: map[string]answer{}, letters: map[string]uint64{}, changed: make(chan struct{}),
	}
	for _, name := range event.Providers() {
		w.permits[name] = fleet.NewPermits(fleet.PermitSettings{Board: board, Provider: name, Log: s.Log})
	}
	w.show()
	return w
}

// Run listens, asks the broker every round and watches the fleet's bucket,
// until ctx ends: then it returns nil. A stream, consumer or bucket that is
// missing is no error, and neither is a broker that is away. An error means
// that the connection was closed.
func (w *Watch) Run(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { w.board.Run(running) })
	all.Go(func() { w.ask(running, ofBacklog, w.askBacklog) })
	all.Go(func() { w.ask(running, ofLetters, w.askLetters) })
	all.Go(func() { w.keepShowing(running) })
	err := w.listen(running)
	stop()
	all.Wait()
	return err
}

// Now is the last snapshot, a copy of the caller's own. It asks nobody.
func (w *Watch) Now() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.clone()
}

// Changed is closed at the next snapshot.
func (w *Watch) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Resume ends a provider's hold for the whole fleet and reports whether there
// was one. It needs Run to be running.
func (w *Watch) Resume(ctx context.Context, provider string) (bool, error) {
	if !slices.Contains(event.Providers(), provider) {
		return false, fmt.Errorf("provider is %q, want one of %s", provider, strings.Join(event.Providers(), ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	select {
	case <-w.board.Loaded():
	case <-ctx.Done():
		return false, fmt.Errorf("bucket %s: no answer: %w", consumer.FleetBucket, context.Cause(ctx))
	}
	resumed, err := w.holds.Resume(ctx, provider, false)
	return resumed.Held, err
}

// tell lets a new snapshot be made soon.
func (w *Watch) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// keepShowing makes a snapshot whenever something happened, and each round.
func (w *Watch) keepShowing(ctx context.Context) {
	round := time.NewTicker(w.Every)
	defer round.Stop()
	for ctx.Err() == nil {
		_, changed := w.holdOf(event.CleverTap) // of any key
		w.show()
		select {
		case <-ctx.Done():
			return
		case <-round.C:
			w.endRound()
			continue
		case <-w.news:
		case <-changed:
		}
		select {
		case <-ctx.Done():
		case <-time.After(together):
		}
	}
}

// endRound counts the round against silent pods, if they could be heard: a
// network that swallows everything keeps the connection up for minutes.
func (w *Watch) endRound() {
	lost := lost(w.JS.Conn())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alive && lost == "" {
		w.books.round++
	}
	w.alive = false
}

// show makes the next snapshot.
func (w *Watch) show() {
	lost := lost(w.JS.Conn()) // not under the lock: it may wait for an attempt to connect
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	next := Snapshot{At: now, Since: w.books.since, Deaf: w.deaf, Away: cmp.Or(lost, w.refused[ofBacklog], w.refused[ofLetters])}
	if next.Away == "" && w.last.Away != "" {
		w.books.goOn()
	}
	for i, name := range event.Providers() {
		p := Provider{Name: name}
		w.answers[name].show(now, &p)
		p.Letters, p.LettersKnown = w.letters[name]
		w.books.show(now, &p)
		held, known := w.permitsOf(name)
		if !known && next.Away != "" && len(w.last.Providers) > 0 {
			held = w.last.Providers[i].Permits // the board forgets where it doubts
		}
		p.Permits = held
		p.Hold, _ = w.holdOf(name)
		next.Providers = append(next.Providers, p)
	}
	w.last = next.clone() // the plots go on
	close(w.changed)
	w.changed = make(chan struct{})
}

// permitsOf are those that somebody holds; known is whether there are any at
// all, held or free.
func (w *Watch) permitsOf(provider string) (held []Permit, known bool) {
	state := w.permits[provider].State()
	for _, number := range slices.Sorted(maps.Keys(state)) {
		if permit := state[number]; permit.Holder != "" {
			held = append(held, Permit{Number: number, Holder: permit.Holder, Since: permit.Since})
		}
	}
	return held, len(state) > 0
}

// holdOf also returns a channel that is closed when anything in the fleet's
// bucket changes.
func (w *Watch) holdOf(provider string) (*Hold, <-chan struct{}) {
	state := w.holds.State(provider)
	if !state.Held {
		return nil, state.Changed
	}
	h := state.Hold
	return &Hold{Reason: h.Reason, Detail: h.Detail, Since: h.Since, Until: h.Until, Probing: h.Prober != ""}, state.Changed
}
