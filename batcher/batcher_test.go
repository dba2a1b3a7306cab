package batcher_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenrelay/tokenrelay/batcher"
)

const wait = 500 * time.Millisecond

func add(t *testing.T, b *batcher.Batcher[int], items ...int) {
	t.Helper()
	for _, item := range items {
		if err := b.Add(t.Context(), item); err != nil {
			t.Fatalf("add %d: %v", item, err)
		}
	}
}

func isBatch(t *testing.T, got batcher.Batch[int], trigger batcher.Trigger, items ...int) {
	t.Helper()
	if got.Trigger != trigger || !slices.Equal(got.Items, items) {
		t.Errorf("%s %v; want %s %v", got.Trigger, got.Items, trigger, items)
	}
}

// offered takes the batch that is offered now, if there is one.
func offered(b *batcher.Batcher[int]) (batch batcher.Batch[int], ok bool) {
	synctest.Wait()
	select {
	case batch, ok = <-b.Batches():
	default:
	}
	return batch, ok
}

func notOffered(t *testing.T, b *batcher.Batcher[int]) {
	t.Helper()
	if batch, ok := offered(b); ok {
		t.Errorf("%s %v offered; want none yet", batch.Trigger, batch.Items)
	}
}

func isClosed(t *testing.T, b *batcher.Batcher[int]) {
	t.Helper()
	if batch, ok := <-b.Batches(); ok {
		t.Errorf("%s %v; want the channel closed", batch.Trigger, batch.Items)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](3, wait)
		defer b.Abandon()
		add(t, b, 1, 2)
		notOffered(t, b)
		add(t, b, 3)
		batch, _ := offered(b)
		isBatch(t, batch, batcher.Count, 1, 2, 3)
		notOffered(t, b)
	})
}

func TestSizeOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](1, wait)
		defer b.Abandon()
		for i := range 3 {
			add(t, b, i)
			isBatch(t, <-b.Batches(), batcher.Count, i)
		}
	})
}

// The age is that of the first item: later ones do not put the batch off.
func TestAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](10, wait)
		defer b.Abandon()
		start := time.Now()
		add(t, b, 1)
		time.Sleep(wait - time.Millisecond)
		add(t, b, 2)
		notOffered(t, b)
		isBatch(t, <-b.Batches(), batcher.Age, 1, 2)
		if got := time.Since(start); got != wait {
			t.Errorf("offered after %v; want %v", got, wait)
		}

		// An empty batch has no age, however long ago the last one was.
		time.Sleep(10 * wait)
		notOffered(t, b)
		start = time.Now()
		add(t, b, 3)
		isBatch(t, <-b.Batches(), batcher.Age, 3)
		if got := time.Since(start); got != wait {
			t.Errorf("offered after %v; want %v", got, wait)
		}
	})
}

// The timer of a batch that was full does not age the next one.
func TestAgeAfterCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](2, wait)
		defer b.Abandon()
		add(t, b, 1)
		time.Sleep(wait - time.Millisecond)
		add(t, b, 2)
		isBatch(t, <-b.Batches(), batcher.Count, 1, 2)
		add(t, b, 3)
		time.Sleep(wait - time.Millisecond)
		notOffered(t, b)
		time.Sleep(time.Millisecond)
		batch, _ := offered(b)
		isBatch(t, batch, batcher.Age, 3)
	})
}

func TestNoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](3, 0)
		defer b.Abandon()
		add(t, b, 1)
		batch, _ := offered(b)
		isBatch(t, batch, batcher.Age, 1)
	})
}

func TestOfferedBatchKeepsFilling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](3, wait)
		defer b.Abandon()
		add(t, b, 1)
		time.Sleep(2 * wait)
		add(t, b, 2)
		batch, _ := offered(b)
		isBatch(t, batch, batcher.Age, 1, 2)

		add(t, b, 3)
		time.Sleep(2 * wait)
		add(t, b, 4, 5)
		batch, _ = offered(b)
		isBatch(t, batch, batcher.Count, 3, 4, 5)
	})
}

func TestFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](3, wait)
		b.Flush() // of nothing
		notOffered(t, b)
		add(t, b, 1)
		b.Flush()
		add(t, b, 2)
		batch, _ := offered(b)
		isBatch(t, batch, batcher.Count, 1, 2)

		add(t, b, 3)
		notOffered(t, b) // the flush was the last one's
		time.Sleep(wait)
		b.Flush() // offered already: by age
		batch, _ = offered(b)
		isBatch(t, batch, batcher.Age, 3)
		b.Abandon()
		b.Flush() // too late; it does not block
	})
}

func TestFullBatchBlocksAdd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](2, wait)
		defer b.Abandon()
		add(t, b, 1, 2)

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := b.Add(ctx, 3); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Fatalf("add to a full batch: %v after %v; want a deadline after an hour", err, time.Since(start))
		}

		added := make(chan error, 1)
		go func() { added <- b.Add(t.Context(), 4) }()
		synctest.Wait()
		isBatch(t, <-b.Batches(), batcher.Count, 1, 2)
		if err := <-added; err != nil {
			t.Fatal(err)
		}
		isBatch(t, <-b.Batches(), batcher.Age, 4) // 3 was not taken
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, *batcher.Batcher[int])
		want    []batcher.Batch[int]
	}{
		{"empty", func(*testing.T, *batcher.Batcher[int]) {}, nil},
		{"partial", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1, 2) },
			[]batcher.Batch[int]{{Items: []int{1, 2}, Trigger: batcher.Drain}}},
		{"full", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1, 2, 3) },
			[]batcher.Batch[int]{{Items: []int{1, 2, 3}, Trigger: batcher.Count}}},
		{"aged", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1); time.Sleep(wait); synctest.Wait() },
			[]batcher.Batch[int]{{Items: []int{1}, Trigger: batcher.Age}}},
		{"twice", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1); b.Close() },
			[]batcher.Batch[int]{{Items: []int{1}, Trigger: batcher.Drain}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := batcher.New[int](3, wait)
				c.prepare(t, b)
				b.Close()
				if err := b.Add(t.Context(), 9); !errors.Is(err, batcher.ErrClosed) {
					t.Errorf("add after close: %v; want ErrClosed", err)
				}
				for _, want := range c.want {
					start := time.Now()
					isBatch(t, <-b.Batches(), want.Trigger, want.Items...)
					if waited := time.Since(start); waited != 0 {
						t.Errorf("offered after %v; want at once", waited)
					}
				}
				isClosed(t, b)
				if err := b.Add(t.Context(), 9); !errors.Is(err, batcher.ErrClosed) {
					t.Errorf("add after the end: %v; want ErrClosed", err)
				}
				if rest := b.Abandon(); rest != nil {
					t.Errorf("abandoned %v after the end; want none", rest)
				}
			})
		})
	}
}

func TestCloseFreesBlockedAdd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](1, wait)
		add(t, b, 1)
		added := make(chan error, 1)
		go func() { added <- b.Add(t.Context(), 2) }()
		synctest.Wait()
		b.Close()
		if err := <-added; !errors.Is(err, batcher.ErrClosed) {
			t.Errorf("blocked add: %v; want ErrClosed", err)
		}
		isBatch(t, <-b.Batches(), batcher.Count, 1)
		isClosed(t, b)
	})
}

// Abandon is for a consumer that is gone: nothing leaks, nothing is lost.
func TestAbandon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, *batcher.Batcher[int])
		want    []int
	}{
		{"empty", func(*testing.T, *batcher.Batcher[int]) {}, nil},
		{"partial", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1, 2) }, []int{1, 2}},
		{"full", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1, 2, 3) }, []int{1, 2, 3}},
		{"closed", func(t *testing.T, b *batcher.Batcher[int]) { add(t, b, 1); b.Close() }, []int{1}},
		{"one batch taken", func(t *testing.T, b *batcher.Batcher[int]) {
			add(t, b, 1, 2, 3)
			<-b.Batches()
			add(t, b, 4)
		}, []int{4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := batcher.New[int](3, wait)
				c.prepare(t, b)
				if rest := b.Abandon(); !slices.Equal(rest, c.want) {
					t.Errorf("rest %v; want %v", rest, c.want)
				}
				if rest := b.Abandon(); rest != nil {
					t.Errorf("rest of the second call %v; want none", rest)
				}
				if err := b.Add(t.Context(), 9); !errors.Is(err, batcher.ErrClosed) {
					t.Errorf("add: %v; want ErrClosed", err)
				}
				b.Close()
				isClosed(t, b)
			})
		})
	}
}

func TestBatchBelongsToReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher.New[int](2, wait)
		defer b.Abandon()
		add(t, b, 1, 2)
		first := <-b.Batches()
		add(t, b, 3, 4)
		<-b.Batches()
		isBatch(t, first, batcher.Count, 1, 2)
	})
}

func TestNewPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a size of 0 was accepted")
		}
	}()
	batcher.New[int](0, wait)
}

// Real time and real contention: Close in the middle of many Adds neither
// loses an item whose Add succeeded nor keeps one whose Add failed.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	const adders, each = 8, 500
	b := batcher.New[int](7, time.Millisecond)

	var adding sync.WaitGroup
	took := make([][]int, adders)
	half := make(chan struct{}, adders)
	for a := range adders {
		adding.Go(func() {
			for i := range each {
				if i == each/2 {
					half <- struct{}{}
				}
				switch err := b.Add(context.Background(), a*each+i); {
				case err == nil:
					took[a] = append(took[a], a*each+i)
				case !errors.Is(err, batcher.ErrClosed):
					t.Error(err)
				}
			}
		})
	}
	go func() { <-half; b.Close() }()

	got := make([][]int, adders)
	for batch := range b.Batches() {
		if n := len(batch.Items); n < 1 || n > 7 {
			t.Errorf("a batch of %d; want 1 to 7", n)
		}
		for _, item := range batch.Items {
			got[item/each] = append(got[item/each], item)
		}
	}
	adding.Wait()
	for a := range adders {
		if !slices.Equal(got[a], took[a]) {
			t.Errorf("adder %d: batches held %d items; Add took %d, and in this order", a, len(got[a]), len(took[a]))
		}
	}
}
