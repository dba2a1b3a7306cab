package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// watch keeps the board as the bucket is, until the watch breaks or the bucket
// is another one. Healthy is called when it shows the whole bucket.
func (b *Board) watch(ctx context.Context, healthy func()) error {
	kv, err := b.JS.KeyValue(ctx, b.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) && b.Remake != nil {
		b.Log.Warn("the fleet's bucket is gone and made again", "bucket", b.Bucket)
		err = b.Remake(ctx)
		if err == nil {
			kv, err = b.JS.KeyValue(ctx, b.Bucket)
		}
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.Bucket, err)
	}
	made, last, err := b.identity(ctx)
	if err != nil {
		return err
	}
	b.know(made)
	watcher, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch %s: %w", b.Bucket, err)
	}
	defer func() { _ = watcher.Stop() }()
	// The watch of a bucket that was deleted ends in silence. The server tells,
	// to who may hear it; the others look.
	fates := make(chan *nats.Msg, 16)
	told, err := b.JS.Conn().ChanSubscribe("$JS.EVENT.ADVISORY.STREAM.*.KV_"+b.Bucket, fates)
	if err != nil {
		return fmt.Errorf("watch %s: %w", b.Bucket, err)
	}
	defer func() { _ = told.Unsubscribe() }()
	// A broker that comes back may have lost it.
	back := b.JS.Conn().StatusChanged(nats.CONNECTED)
	defer b.JS.Conn().RemoveStatusListener(back)
	initial := map[string]bool{}
	look := time.NewTicker(b.Look)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-fates:
			if now, _, err := b.identity(ctx); err != nil || !now.Equal(made) {
				b.wipe()
				return errors.New("the bucket was deleted")
			}
		case <-back:
			if b.gone(ctx, made) {
				return errors.New("the bucket is gone or was made anew")
			}
		case <-look.C:
			if b.gone(ctx, made) {
				return errors.New("the bucket is gone or was made anew")
			}
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return errors.New("the watch ended")
			case entry == nil:
				healthy()
				b.begin(initial, last == 0 && !b.used(ctx))
				initial = nil
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

// gone looks whether the bucket is still the one that was made then, and wipes
// the board if not.
func (b *Board) gone(ctx context.Context, made time.Time) bool {
	now, _, err := b.identity(ctx)
	gone := errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !now.Equal(made)
	if gone {
		b.wipe()
	}
	return gone
}

// know takes down which bucket is watched, and wipes the board when that is
// another one than before.
func (b *Board) know(made time.Time) {
	b.mu.Lock()
	former := b.made
	b.made = made
	b.mu.Unlock()
	if !former.IsZero() && !former.Equal(made) {
		b.wipe()
	}
}

// identity is when the bucket was made and the last revision in it.
func (b *Board) identity(ctx context.Context) (made time.Time, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	stream, err := b.JS.Stream(ctx, "KV_"+b.Bucket)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("bucket %s: %w", b.Bucket, err)
	}
	info := stream.CachedInfo()
	return info.Created, info.State.LastSeq, nil
}

// used reports whether the fleet has worked before, in doubt that it has.
func (b *Board) used(ctx context.Context) bool {
	if b.Used == nil {
		return false
	}
	used, err := b.Used(ctx)
	return used || err != nil
}
