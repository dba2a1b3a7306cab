package batcher_test

import (
	"context"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/batcher"
)

// BenchmarkAdd is one record's way through: added, batched by 100, taken.
func BenchmarkAdd(b *testing.B) {
	items := batcher.New[*int](100, time.Second)
	done := make(chan int)
	go func() {
		n := 0
		for batch := range items.Batches() {
			n += len(batch.Items)
		}
		done <- n
	}()
	r := new(int)
	b.ReportAllocs()
	added := 0
	for b.Loop() {
		if err := items.Add(context.Background(), r); err != nil {
			b.Fatal(err)
		}
		added++
	}
	items.Close()
	if n := <-done; n != added {
		b.Fatalf("%d out of %d came through", n, added)
	}
}

func BenchmarkAddParallel(b *testing.B) {
	items := batcher.New[int](100, time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range items.Batches() {
		}
	}()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := items.Add(context.Background(), 1); err != nil {
				b.Error(err)
			}
		}
	})
	items.Close()
	<-done
}
