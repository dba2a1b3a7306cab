package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const long = 10 * time.Second // a lease that no test outlives

func TestTakeableAt(t *testing.T) {
	t.Parallel()
	seen := time.Now()
	rec := func(p PermitRecord) record {
		value, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return record{value: value, revision: 7, seen: seen}
	}
	for _, c := range []struct {
		name string
		rec  record
		want time.Duration // after it was seen; 0: at once
	}{
		{"absent: never there or purged", record{seen: seen}, reserve},
		{"deleted", record{revision: 9, seen: seen}, reserve},
		{"unreadable", record{value: []byte("{"), revision: 9, seen: seen}, reserve},
		{"free", rec(PermitRecord{}), 0},
		{"lent to us", rec(PermitRecord{Reserved: "us"}), 0},
		{"lent to another", rec(PermitRecord{Reserved: "them"}), reserve},
		{"held, for its own lease and not ours", rec(PermitRecord{Holder: "them", LeaseMS: 45_000}), 45 * time.Second},
		{"put in place of a vanished one", rec(PermitRecord{Holder: nobody, LeaseMS: 30_000}), 30 * time.Second},
		{"held by our former self", rec(PermitRecord{Holder: "us", LeaseMS: 30_000}), 30 * time.Second},
	} {
		want := time.Time{}
		if c.want > 0 {
			want = seen.Add(c.want)
		}
		if got := takeableAt(c.rec, "us"); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}

func TestNoMoreThanTheCap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	b, _ := w.join("b", 3)
	numbers := map[int]bool{a.take(t).Number(): true, b.take(t).Number(): true}
	third := a.take(t)
	numbers[third.Number()] = true
	if len(numbers) != 3 || !numbers[0] || !numbers[1] || !numbers[2] {
		t.Fatalf("took %v, want 0, 1 and 2", numbers)
	}
	waiting := make(chan *Permit)
	go func() {
		permit, err := b.permits.Take(t.Context())
		if err != nil {
			t.Error(err)
		}
		waiting <- permit
	}()
	third.GiveBack(t.Context())
	permit := <-waiting
	defer permit.stop()
	if permit.Number() != third.Number() {
		t.Errorf("took %d, want the one given back, %d", permit.Number(), third.Number())
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 1)
	a.take(t)
	b, _ := w.join("b", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.permits.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

func TestADeadPodsPermitIsTakenOverAfterItsLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	a, leave := w.join("a", 1)
	dead := a.take(t)
	b, _ := w.join("b", 1)
	// Alive, it keeps its permit over several leases.
	for range 8 {
		select {
		case <-dead.renewal():
		case <-dead.Lost():
			t.Fatal("lost, although it lives")
		}
	}
	dead.stop()
	leave()
	last := dead.lastSent()
	permit := b.take(t)
	if passed := time.Since(last); passed < w.lease {
		t.Errorf("taken over %s after the last renewal, the lease is %s", passed, w.lease)
	}
	if permit.Number() != 0 {
		t.Errorf("took %d", permit.Number())
	}
}

func (p *Permit) renewal() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewed
}

func (p *Permit) lastSent() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// A holder that slept through its lease must not disturb who has it now.
func TestAStaleHolderNeitherRenewsNorFrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 600*time.Millisecond)
	a, _ := w.join("a", 1)
	sleeper := a.take(t)
	kv, err := w.js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	// Another pod took over while it slept.
	other := `{"holder":"b","nonce":"other","lease_ms":600000}`
	if _, err := kv.PutString(t.Context(), permitKey("clevertap", 0), other); err != nil {
		t.Fatal(err)
	}
	<-sleeper.Lost()
	if _, ok := sleeper.Await(t.Context()); ok {
		t.Error("believes itself entitled")
	}
	sleeper.GiveBack(t.Context())
	entry, err := kv.Get(t.Context(), permitKey("clevertap", 0))
	if err != nil || string(entry.Value()) != other {
		t.Errorf("the holder's record is now %q, %v", entry.Value(), err)
	}
	if barred := a.permits.barredFor(); barred <= 0 {
		t.Error("may take a permit at once, although a call may be open")
	}
}

func (p *Permits) barredFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.barred)
}

// The answer to a renewal got lost: the record shows our own nonce.
func TestALostAnswerIsNoLostPermit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	a, _ := w.join("a", 1)
	permit := a.take(t)
	kv, err := w.js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), permitKey("clevertap", 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), entry.Key(), entry.Value()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case <-permit.renewal():
		case <-permit.Lost():
			t.Fatal("lost")
		}
	}
}

func TestTheHighestPermitIsLent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	b, _ := w.join("b", 3)
	low, middle, high := a.take(t), a.take(t), b.take(t)
	for _, p := range []*pod{a, b} {
		lending, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = p.permits.Lend(lending) })
		t.Cleanup(func() { stop(); done.Wait() })
		eventually(t, "the pod listens", func() bool { return p.nc.NumSubscriptions() > 1 && p.nc.Flush() == nil })
		eventually(t, "the pod sees all three", func() bool { return len(p.permits.State()) == 3 })
	}
	command, _ := w.join("command", 3)
	lent := make(chan *Permit)
	go func() {
		permit, err := command.permits.Borrow(t.Context())
		if err != nil {
			t.Error(err)
		}
		lent <- permit
	}()
	<-high.Wanted()
	// A sender that waits must not get ahead of the borrower.
	waiting, stopWaiting := context.WithCancel(t.Context())
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		if _, err := a.permits.Take(waiting); err == nil {
			t.Error("a waiting sender took the lent permit")
		}
	}()
	high.GiveBack(t.Context())
	permit := <-lent
	stopWaiting()
	<-waited
	if permit.Number() != 2 {
		t.Errorf("lent %d, want the highest", permit.Number())
	}
	for _, kept := range []*Permit{low, middle} {
		select {
		case <-kept.Wanted():
			t.Errorf("permit %d was asked for, too", kept.Number())
		default:
		}
	}
	permit.GiveBack(t.Context())
}

func TestALoweredCapLeavesHighNumbersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	old, _ := w.join("old", 3)
	held := []*Permit{old.take(t), old.take(t), old.take(t)}
	lowered, _ := w.join("lowered", 2)
	held[2].GiveBack(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	took := make(chan *Permit, 1)
	go func() {
		permit, _ := lowered.permits.Take(ctx)
		took <- permit
	}()
	held[1].GiveBack(t.Context())
	permit := <-took
	defer permit.stop()
	cancel()
	if permit == nil || permit.Number() != 1 {
		t.Fatalf("took %+v, want number 1", permit)
	}
}

// Pods take, hold, die, sleep and give back at random while the broker is
// restarted: no number is ever in two hands that believe themselves entitled.
func TestNeverTwoHolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 500*time.Millisecond)
	const limit = 3
	var inUse [limit]atomic.Int32
	var calls, doubled atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var pods sync.WaitGroup
	for i := range 4 {
		p, _ := w.join(strings.Repeat("p", i+1), limit)
		for range 2 {
			pods.Go(func() {
				for ctx.Err() == nil {
					permit, err := p.permits.Take(ctx)
					if err != nil {
						return
					}
					for range rand.IntN(10) {
						until, ok := permit.Await(ctx)
						if !ok {
							break
						}
						if inUse[permit.Number()].Add(1) > 1 {
							doubled.Add(1)
						}
						calls.Add(1)
						call := min(rand.N(40*time.Millisecond), w.lease/3, time.Until(until))
						<-time.After(call)
						inUse[permit.Number()].Add(-1)
					}
					if rand.IntN(4) == 0 {
						permit.stop() // died without a word
						continue
					}
					permit.GiveBack(context.WithoutCancel(ctx))
				}
			})
		}
	}
	pods.Go(func() {
		for ctx.Err() == nil {
			<-time.After(600 * time.Millisecond)
			if rand.IntN(2) == 0 {
				if err := w.b.Kill(); err != nil {
					t.Error(err)
				}
			}
			if err := w.b.Restart(); err != nil {
				t.Error(err)
			}
		}
	})
	pods.Wait()
	if doubled.Load() != 0 {
		t.Errorf("%d of %d calls were made with a permit that another call had", doubled.Load(), calls.Load())
	}
	if calls.Load() < 20 {
		t.Errorf("only %d calls: nothing was tried", calls.Load())
	}
}
