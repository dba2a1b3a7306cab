package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	requestTimeout = 5 * time.Second // of one question to JetStream
	firstPause     = 20 * time.Millisecond
	longestPause   = 5 * time.Second
)

// attachment is what the stream and the consumer were when last looked at. It
// is never changed, only replaced.
type attachment struct {
	created  time.Time     // of the stream
	maxAge   time.Duration // of the stream; 0 is no limit
	ackWait  time.Duration
	priority bool // the consumer wants pulls with a priority

	replicated bool // what is delivered waits for a quorum
	stream     jetstream.Stream
}

// attach looks at what there is, and makes what is missing.
func (c *Consumer) attach(ctx context.Context) error {
	at, err := c.look(ctx)
	if vanished(err) {
		kept, ensureErr := Ensure(ctx, c.js, c.options.Topology)
		if ensureErr != nil {
			return ensureErr
		}
		for _, f := range kept {
			c.log.WarnContext(ctx, f.String())
		}
		if at, err = c.look(ctx); err == nil {
			c.log.InfoContext(ctx, "made consumer", "first_seq", max(at.start, 1))
		}
	}
	if err != nil {
		return notYet(err)
	}
	if old := c.at.Swap(&at.attachment); old != nil && !old.created.Equal(at.created) {
		c.log.WarnContext(ctx, "stream was made anew: what is held of the old one is let go", "held", c.alive.size())
	}
	return nil
}

// sighting is an attachment, and what is only of interest when it is made.
type sighting struct {
	attachment
	start  uint64 // where the consumer began, 0 for the first event
	floor  uint64 // up to where everything is acknowledged
	bucket jetstream.KeyValue
}

func (c *Consumer) look(ctx context.Context) (*sighting, error) {
	stream, err := c.js.Stream(ctx, EventsStream)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", streamName(EventsStream), err)
	}
	cons, err := stream.Consumer(ctx, c.provider)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, &findingError{pushFinding(c.provider)}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", consumerName(c.provider), err)
	}
	bucket, err := c.js.KeyValue(ctx, FleetBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", FleetBucket, err)
	}
	info := stream.CachedInfo()
	var broken []error
	for _, f := range append(streamFindings(info.Config, eventsConfig(c.options.Topology.withDefaults()), c.options.Topology),
		consumerFindings(c.provider, cons.CachedInfo())...) {
		if f.Severity == Broken {
			broken = append(broken, &findingError{f})
		}
	}
	config := cons.CachedInfo().Config
	return &sighting{
		attachment: attachment{
			created:  info.Created,
			maxAge:   info.Config.MaxAge,
			ackWait:  shortestWait(config),
			priority: config.PriorityPolicy == jetstream.PriorityPolicyPrioritized,

			replicated: info.Config.Replicas > 1,
			stream:     stream,
		},
		start:  config.OptStartSeq,
		floor:  cons.CachedInfo().AckFloor.Stream,
		bucket: bucket,
	}, errors.Join(broken...)
}

// shortestWait is the time after which the server may hand out a message
// again: a backoff replaces the ack wait.
func shortestWait(c jetstream.ConsumerConfig) time.Duration {
	wait := c.AckWait
	for _, b := range c.BackOff {
		wait = min(wait, b)
	}
	return wait
}

func vanished(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// repair attaches anew after a doubt about the given attachment. Of several
// callers one does it and the others wait. It goes on until it succeeds, ctx
// ends or the connection is closed for good.
func (c *Consumer) repair(ctx context.Context, doubted *attachment, why string) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.turn }()
	if c.at.Load() != doubted {
		return nil
	}
	c.log.DebugContext(ctx, "looking at the consumer", "why", why)
	failed := false
	err := backoff.RetryNotify(func() error {
		if err := c.connected(ctx); err != nil {
			return backoff.Permanent(err)
		}
		try, cancel := c.question(ctx)
		defer cancel()
		return c.attach(try)
	}, backoff.WithContext(newPause(), ctx), func(err error, pause time.Duration) {
		if !failed {
			c.log.WarnContext(ctx, "consumer can not be used, trying on", "err", err)
		}
		failed = true
	})
	if err == nil && failed {
		c.log.InfoContext(ctx, "consumer can be used again")
	}
	return err
}

// connected waits until there is a connection.
func (c *Consumer) connected(ctx context.Context) error {
	for !c.nc.IsConnected() {
		if c.nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.currentSession().Done():
		case <-time.After(longestPause):
		}
	}
	return nil
}

// currentSession ends at the next reconnect: what was asked before it may
// never be answered.
func (c *Consumer) currentSession() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// question bounds one question to JetStream.
func (c *Consumer) question(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	stop := context.AfterFunc(c.currentSession(), cancel)
	return ctx, func() { stop(); cancel() }
}

// newPause spaces attempts: it grows without an end in time.
func newPause() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause), backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
}
