package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// floor is the last position below which a provider's events are all
// acknowledged. It holds for one stream only: a stream made anew counts from 1.
type floor struct {
	StreamCreated time.Time `json:"stream_created"`
	Seq           uint64    `json:"seq"`
}

// follows says whether this floor may replace the other one.
func (f floor) follows(old floor) bool {
	return !f.StreamCreated.Equal(old.StreamCreated) || f.Seq > old.Seq
}

// start is the sequence a consumer made anew begins with; 0 is everything.
// A floor beyond the stream's end is one whose stream lost its tail: what is
// stored next must not be passed over.
func (f floor) start(created time.Time, last uint64) uint64 {
	if f.Seq == 0 || !f.StreamCreated.Equal(created) {
		return 0
	}
	return min(f.Seq, last) + 1
}

// readFloor returns the stored floor and its revision, 0 when there is none.
func readFloor(ctx context.Context, kv jetstream.KeyValue, key string) (floor, uint64, error) {
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return floor{}, 0, nil
	}
	if err != nil {
		return floor{}, 0, fmt.Errorf("read %s: %w", key, err)
	}
	var f floor
	if err := json.Unmarshal(entry.Value(), &f); err != nil {
		// Nobody can use it: everything is delivered again, and the next
		// floor takes its place.
		return floor{}, entry.Revision(), nil //nolint:nilerr // as said above
	}
	return f, entry.Revision(), nil
}

// writeFloor stores a floor when it is ahead of the stored one. That another
// pod wrote meanwhile is no error: the next round looks again.
func writeFloor(ctx context.Context, kv jetstream.KeyValue, key string, f floor) error {
	old, revision, err := readFloor(ctx, kv, key)
	if err != nil {
		return err
	}
	if !f.follows(old) {
		return nil
	}
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = kv.Create(ctx, key, value)
	} else {
		_, err = kv.Update(ctx, key, value, revision)
	}
	if err != nil && !refused(err) {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// refused says whether a compare-and-set lost against another writer.
func refused(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// startFromFloor is where a provider's consumer begins when it is made now.
func startFromFloor(ctx context.Context, js jetstream.JetStream, events jetstream.Stream, provider string) (uint64, error) {
	kv, err := js.KeyValue(ctx, FleetBucket)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", FleetBucket, err)
	}
	f, _, err := readFloor(ctx, kv, FloorKey(provider))
	if err != nil {
		return 0, err
	}
	info, err := events.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", streamName(EventsStream), err)
	}
	return f.start(info.Created, info.State.LastSeq), nil
}
