package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

// drained waits until nothing is pending at any provider and the cluster is
// whole again, and says what is missing when the time is over.
func (c *cluster) drained(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		left, err := c.pending(ctx)
		if err == nil && left == "" {
			left, err = c.lagging(ctx)
		}
		if err == nil && left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				left = err.Error()
			}
			return fmt.Errorf("not everything came to rest within %s: %s", within, left)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// pending says what waits for whom; empty is nothing.
func (c *cluster) pending(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var left []string
	for _, provider := range event.Providers() {
		found, err := c.js.Consumer(ctx, consumer.EventsStream, provider)
		if err != nil {
			return "", err
		}
		if info := found.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			left = append(left, fmt.Sprintf("%s: %d not delivered, %d not acknowledged", provider, info.NumPending, info.NumAckPending))
		}
	}
	return strings.Join(left, "; "), nil
}

// lagging says which copy of a stream is not up to date; empty is none.
func (c *cluster) lagging(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, name := range []string{consumer.EventsStream, consumer.LettersStream, "KV_" + consumer.FleetBucket} {
		stream, err := c.js.Stream(ctx, name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		group := stream.CachedInfo().Cluster
		if group == nil || group.Leader == "" {
			return name + " has no leader", nil
		}
		for _, copied := range group.Replicas {
			if copied.Offline || !copied.Current {
				return name + " is not up to date on " + copied.Name, nil
			}
		}
	}
	return "", nil
}

// stored finds the events in the stream by their numbers, and since when they
// are there.
func (c *cluster) stored(ctx context.Context) (map[int][]time.Time, error) {
	stored := map[int][]time.Time{}
	return stored, c.read(ctx, consumer.EventsStream, func(m jetstream.Msg, at time.Time) {
		number := numberIn(m.Data())
		stored[number] = append(stored[number], at)
	})
}

// deadLetter is one message of the dead-letter stream.
type deadLetter struct {
	provider, code string
	number         int
}

func (c *cluster) letters(ctx context.Context) (letters []deadLetter, err error) {
	err = c.read(ctx, consumer.LettersStream, func(m jetstream.Msg, _ time.Time) {
		rest := strings.TrimPrefix(m.Subject(), consumer.LettersSubject+".")
		provider, code, _ := strings.Cut(rest, ".")
		letters = append(letters, deadLetter{provider, code, numberIn(m.Data())})
	})
	return letters, err
}

// numberIn reads the number of an event from its JSON; -1 when it is none of
// ours.
func numberIn(body []byte) int {
	var e struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(body, &e) != nil {
		return -1
	}
	return numberOf(e.Token)
}

// read gives every message of a stream to take, in order. How far to read is
// the leader's word: the reader may live on a server that still catches up.
func (c *cluster) read(ctx context.Context, name string, take func(jetstream.Msg, time.Time)) error {
	stream, err := c.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	reader, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	messages, err := reader.Messages()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		take(m, meta.Timestamp)
		if meta.Sequence.Stream >= state.LastSeq {
			return nil
		}
	}
}

// permitsHeld lists the permits that somebody has.
func (c *cluster) permitsHeld(ctx context.Context) (held []string, err error) {
	bucket, err := c.js.KeyValue(ctx, consumer.FleetBucket)
	if err != nil {
		return nil, err
	}
	for n := range cleverTapCap {
		key := fmt.Sprintf("permits.%s.%d", event.CleverTap, n)
		entry, err := bucket.Get(ctx, key)
		if err != nil {
			continue // never taken
		}
		var permit struct {
			Holder string `json:"holder"`
		}
		if err := json.Unmarshal(entry.Value(), &permit); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if permit.Holder != "" {
			held = append(held, fmt.Sprintf("%s by %s", key, permit.Holder))
		}
	}
	return held, nil
}
