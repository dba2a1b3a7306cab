package fleet

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// A permit that was taken and purged before another pod's watch brought it is
// no permit that was never held, however new the bucket is in that pod's eyes.
func TestWhatAPurgeSwallowedIsNotNew(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(b *Board){
		"a bucket seen before anything was in it": func(b *Board) { b.begin(nil, true) },
		"an absence that was seen long ago": func(b *Board) {
			b.begin(nil, false)
			b.since = time.Now().Add(-time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 900*time.Millisecond)
			_, js := brokertest.Connect(t, w.url)
			log := slog.New(slog.DiscardHandler)
			blind := NewBoard(BoardSettings{JS: js, Bucket: bucket, Log: log}) // its watch brings nothing
			begin(blind)
			a, _ := w.join("a", 3)
			for range 3 {
				a.take(t)
			}
			stream, err := w.js.Stream(t.Context(), "KV_"+bucket)
			if err != nil {
				t.Fatal(err)
			}
			purged := time.Now()
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			b := pod{permits: NewPermits(PermitSettings{Board: blind, Provider: "clevertap", Cap: 3, Self: "b",
				Lease: w.lease, Renewal: w.lease / 6, Call: w.lease / 3, Log: log})}
			b.take(t)
			if passed := time.Since(purged); passed < w.lease {
				t.Errorf("taken %s after the purge, the lease is %s", passed, w.lease)
			}
		})
	}
}

// Of many pods that find the bucket empty one is first, and all permits are
// there at once for all of them: nobody waits out a lease.
func TestOnePodFoundsTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	var pods []*pod
	for i := range 4 {
		p, _ := w.join(strings.Repeat("p", i+1), 3)
		pods = append(pods, p)
	}
	took := make(chan *Permit)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for _, p := range pods {
		waiting.Go(func() {
			if permit, err := p.permits.Take(ctx); err == nil {
				took <- permit
			}
		})
	}
	numbers := map[int]bool{}
	for range 3 {
		permit := <-took
		defer permit.stop()
		numbers[permit.Number()] = true
	}
	cancel()
	waiting.Wait()
	if len(numbers) != 3 {
		t.Errorf("took %v, want 0, 1 and 2", numbers)
	}
}

// A founder that died half-way leaves permits that nobody knows anything of:
// they come back by themselves.
func TestAHalfFoundedFleetIsCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 900*time.Millisecond)
	kv, err := w.js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), permitKey("clevertap", 0), `{"since":"2026-01-01T00:00:00Z","reserved":"the founder"}`); err != nil {
		t.Fatal(err)
	}
	p, _ := w.join("p", 3)
	numbers := map[int]bool{p.take(t).Number(): true, p.take(t).Number(): true, p.take(t).Number(): true}
	if len(numbers) != 3 {
		t.Errorf("took %v, want 0, 1 and 2", numbers)
	}
}

func TestAPurgedOrDeletedRecordIsALostPermit(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string]func(ctx context.Context, kv jetstream.KeyValue, js jetstream.JetStream) error{
		"delete": func(ctx context.Context, kv jetstream.KeyValue, _ jetstream.JetStream) error {
			return kv.Delete(ctx, permitKey("clevertap", 0))
		},
		"purge of the stream": func(ctx context.Context, _ jetstream.KeyValue, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "KV_"+bucket)
			if err != nil {
				return err
			}
			return stream.Purge(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 900*time.Millisecond)
			a, _ := w.join("a", 1)
			permit := a.take(t)
			kv, err := w.js.KeyValue(t.Context(), bucket)
			if err != nil {
				t.Fatal(err)
			}
			wiped := time.Now()
			if err := wipe(t.Context(), kv, w.js); err != nil {
				t.Fatal(err)
			}
			b, _ := w.join("b", 1)
			<-permit.Lost()
			b.take(t)
			if passed := time.Since(wiped); passed < w.lease {
				t.Errorf("taken %s after the wipe, the lease is %s", passed, w.lease)
			}
		})
	}
}

// A pod that saw the old bucket knows that the new one is no new beginning.
func TestTheBucketMadeAnewIsNoNewBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 900*time.Millisecond)
	a, _ := w.join("a", 1)
	b, _ := w.join("b", 1)
	permit := a.take(t)
	wiped := time.Now()
	if err := w.js.DeleteKeyValue(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	<-permit.Lost()
	b.take(t)
	if passed := time.Since(wiped); passed < w.lease {
		t.Errorf("taken %s after the bucket was deleted, the lease is %s", passed, w.lease)
	}
}

// The revisions of a bucket that was made anew begin at one again: that one
// stands at a permit's revision says nothing about whose it is.
func TestAPermitEndsWithItsBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	old, _ := w.join("old", 3)
	held := []*Permit{old.take(t), old.take(t), old.take(t)}
	if err := w.js.DeleteKeyValue(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	w.make(t.Context())
	young, _ := w.join("young", 3)
	rightful := []*Permit{young.take(t), young.take(t), young.take(t)}
	for _, p := range held {
		<-p.Lost()
		p.GiveBack(t.Context())
	}
	for _, p := range rightful {
		renewed := p.renewal()
		select {
		case <-renewed:
		case <-p.Lost():
			t.Fatalf("permit %d was lost to a pod of the former bucket", p.Number())
		}
	}
}

// The answer to a founding write got lost: the founder finds its own record and
// goes on from it.
func TestFoundingGoesOnAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for lost := range 6 {
		t.Run(strconv.Itoa(lost), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p, _ := w.join("p", 3)
			change, writes := p.board.change, 0
			p.board.change = func(ctx context.Context, key string, value []byte, after after) (uint64, *record, error) {
				next, standing, err := change(ctx, key, value, after)
				if writes++; writes == lost+1 {
					return 0, nil, errors.New("no answer")
				}
				return next, standing, err
			}
			for range 3 {
				p.take(t).stop()
			}
		})
	}
}

// A permit whose holder is not there, be it above everybody's cap, does not end
// the lending: the highest that somebody has is lent.
func TestLendingPassesOverNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 2)
	low, high := a.take(t), a.take(t)
	kv, err := w.js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	for number, record := range map[int]string{4: `{"holder":"` + nobody + `","lease_ms":10000}`, 3: `{"holder":"dead","lease_ms":1}`} {
		if _, err := kv.PutString(t.Context(), permitKey("clevertap", number), record); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the pod sees them", func() bool { return len(a.permits.State()) == 4 })
	eventually(t, "the dead one's lease is over", func() bool { a.permits.asked("command"); return isClosed(high.Wanted()) })
	if isClosed(low.Wanted()) {
		t.Error("the lower one was asked for, too")
	}
}

// Who borrows once puts no records in place for numbers that nobody uses.
func TestABorrowerFillsNoGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	a, _ := w.join("a", 1)
	permit := a.take(t)
	command, _ := w.join("command", 3)
	command.board.mu.Lock()
	command.board.since = time.Now().Add(-time.Hour) // long enough for a gap to be one
	command.board.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		if lent, err := command.permits.Borrow(ctx); err == nil {
			lent.GiveBack(t.Context())
		}
	})
	<-permit.renewal()
	permit.GiveBack(t.Context())
	asking.Wait()
	cancel()
	if state := a.permits.State(); len(state) != 1 {
		t.Errorf("records %v, want that of the one permit", state)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
