package fleet

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A permit that vanishes under its holder is no permit that was never there,
// however new the bucket was when this pod first saw it.
func TestVanishedIsNotNew(t *testing.T) {
	t.Parallel()
	b := NewBoard(BoardSettings{JS: newWorld(t, long).js, Bucket: "none"})
	b.begin(nil, true)
	if !b.neverHeld("a") || !b.neverHeld("b") {
		t.Error("in a new bucket no key was ever there")
	}
	b.note("a", []byte("{}"), 1)
	b.note("a", nil, 0) // a write was refused, and nothing stands there now
	if b.neverHeld("a") {
		t.Error("a key that was purged passes for new")
	}
	b.note("b", nil, 7) // deleted
	if b.neverHeld("b") {
		t.Error("a key that was deleted passes for new")
	}
	if !b.neverHeld("c") {
		t.Error("the other keys are still new")
	}
	b.begin(nil, true) // the bucket was made again
	if b.neverHeld("a") || b.neverHeld("c") {
		t.Error("a bucket that was made again passes for new")
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
