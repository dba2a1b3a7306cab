package batcher_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/batcher"
)

// script is what one run does: adders that pause before each item, a consumer
// that pauses after each batch, and a moment at which adding is closed.
type script struct {
	size    int
	wait    time.Duration
	pauses  [][]time.Duration // by adder, before each of its items
	takes   []time.Duration   // before each batch is received, in turn
	closeAt time.Duration
	abandon bool // end with Abandon instead of Close
}

func drawScript(t *rapid.T) script {
	pause := rapid.SampledFrom([]time.Duration{0, 0, 0, 1, 3, 10, 50, 200})
	return script{
		size:    rapid.IntRange(1, 6).Draw(t, "size"),
		wait:    rapid.SampledFrom([]time.Duration{0, 1, 5, 20, 100}).Draw(t, "wait"),
		pauses:  rapid.SliceOfN(rapid.SliceOfN(pause, 0, 30), 1, 4).Draw(t, "pauses"),
		takes:   rapid.SliceOfN(pause, 1, 10).Draw(t, "takes"),
		closeAt: rapid.SampledFrom([]time.Duration{0, 10, 100, 1000, 10000}).Draw(t, "closeAt"),
		abandon: rapid.Bool().Draw(t, "abandon"),
	}
}

type item struct {
	adder, number int
	added         time.Time // when Add was called; it may block after that
}

type taken struct {
	batcher.Batch[item]
	asked, at time.Time // when the consumer began to wait, and when it got the batch
}

// perform runs a script and returns what the adders gave, what the consumer
// got, and what was left over.
func perform(t *testing.T, s script) (given [][]item, got []taken, rest []item, closed time.Time) {
	b := batcher.New[item](s.size, s.wait)
	given = make([][]item, len(s.pauses))
	ended := make(chan int)
	for a, pauses := range s.pauses {
		go func() {
			defer func() { ended <- a }()
			for n, pause := range pauses {
				time.Sleep(pause)
				it := item{a, n, time.Now()}
				if err := b.Add(t.Context(), it); err != nil {
					if !errors.Is(err, batcher.ErrClosed) {
						t.Error(err)
					}
					return
				}
				given[a] = append(given[a], it)
			}
		}()
	}
	stopped := make(chan []item)
	go func() {
		time.Sleep(s.closeAt)
		closed = time.Now()
		if s.abandon {
			stopped <- b.Abandon()
			return
		}
		b.Close()
		stopped <- nil
	}()
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		for i := 0; ; i++ {
			time.Sleep(s.takes[i%len(s.takes)])
			asked := time.Now()
			batch, ok := <-b.Batches()
			if !ok {
				return
			}
			got = append(got, taken{batch, asked, time.Now()})
		}
	}()
	rest = <-stopped
	for range s.pauses {
		<-ended
	}
	<-consumed
	return given, got, rest, closed
}

func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScript(rt)
		var (
			given  [][]item
			got    []taken
			rest   []item
			closed time.Time
		)
		// A subtest of its own would need a name for each run; the bubble is
		// enough.
		synctest.Test(t, func(t *testing.T) { given, got, rest, closed = perform(t, s) })

		var all []item
		var last taken
		for i, batch := range got {
			n := len(batch.Items)
			if n < 1 || n > s.size {
				rt.Fatalf("batch %d has %d items; want 1 to %d", i, n, s.size)
			}
			if (batch.Trigger == batcher.Count) != (n == s.size) {
				rt.Fatalf("batch %d has %d of %d items and trigger %s", i, n, s.size, batch.Trigger)
			}
			if last.Trigger == batcher.Drain {
				rt.Fatalf("batch %d came after the drained one", i)
			}
			onTime(rt, s, batch, last.at, closed)
			last = batch
			all = append(all, batch.Items...)
		}
		all = append(all, rest...)
		if len(rest) > s.size {
			rt.Fatalf("%d items left over; a batch has %d", len(rest), s.size)
		}
		for a := range given {
			mine := slices.DeleteFunc(slices.Clone(all), func(it item) bool { return it.adder != a })
			if !slices.Equal(mine, given[a]) {
				rt.Fatalf("adder %d gave %v; out came %v", a, given[a], mine)
			}
		}
	})
}

// onTime fails when a batch was offered after its limit, or before it for its
// age. Its age counts from the moment its first item was taken: when it was
// added, or, if the batch before was full then, when that one went. before is
// when that one went.
func onTime(t *rapid.T, s script, batch taken, before, closed time.Time) {
	first := batch.Items[0].added
	if first.Before(before) {
		first = before
	}
	limit := first.Add(s.wait)
	if batch.asked.After(limit) {
		limit = batch.asked // the consumer came late; then it must not wait at all
	}
	if batch.at.After(limit) {
		t.Fatalf("taken at %v; first item at %v, consumer ready at %v, limit %v", batch.at, first, batch.asked, s.wait)
	}
	if batch.Trigger == batcher.Age && batch.at.Before(first.Add(s.wait)) {
		t.Fatalf("trigger age at %v, %v after the first item; the limit is %v", batch.at, batch.at.Sub(first), s.wait)
	}
	if batch.Trigger == batcher.Drain && batch.at.Before(closed) {
		t.Fatalf("trigger drain at %v, before the close at %v", batch.at, closed)
	}
}
