package batcher_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenrelay/tokenrelay/batcher"
)

func Example() {
	b := batcher.New[string](2, time.Hour)
	go func() {
		for _, word := range []string{"one", "two", "three"} {
			if err := b.Add(context.Background(), word); err != nil {
				return // closed under way; word was not taken
			}
		}
		b.Close()
	}()
	for batch := range b.Batches() {
		fmt.Println(batch.Trigger, batch.Items)
	}
	// Output:
	// count [one two]
	// drain [three]
}
