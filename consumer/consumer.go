package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrClosed is what a Pull ends with when its Consumer was closed.
var ErrClosed = errors.New("consumer is closed")

const (
	defaultFloorEvery = 10 * time.Second
	defaultHeartbeat  = 5 * time.Second

	requestTimeout = 5 * time.Second // of one question to JetStream
	flushTimeout   = 10 * time.Second
	firstPause     = 20 * time.Millisecond
	longestPause   = 5 * time.Second
)

// Options are what a Consumer is opened with. Every field may be left out.
type Options struct {
	Log      *slog.Logger
	Topology Topology // what to make again when it vanishes; its Providers are not looked at

	Redelivered func()      // called for each message handed out more than once; must not block
	AckFailed   func(error) // called when a settlement could not be sent: the event will come again; must not block

	FloorEvery time.Duration // between two floors written; 10 s
	Heartbeat  time.Duration // the server's sign of life to a waiting Pull; after two of them in silence it asks again; 5 s
}

// Consumer pulls the events of one provider. All methods are safe for
// concurrent use.
type Consumer struct {
	js       jetstream.JetStream
	nc       *nats.Conn
	log      *slog.Logger
	provider string
	options  Options
	nextMsg  string // API subject of a pull

	at    atomic.Pointer[attachment]
	alive *keepAlive
	turn  chan struct{} // held by who attaches anew

	mu        sync.Mutex
	requests  map[*request]struct{} // open pulls
	reconnect chan struct{}         // closed at the next reconnect

	recheck chan struct{} // asks the floor's goroutine to look now
	ctx     context.Context
	close   context.CancelFunc
	done    sync.WaitGroup
}

// attachment is what the stream and the consumer were when last looked at. It
// is never changed, only replaced.
type attachment struct {
	created  time.Time     // of the stream
	maxAge   time.Duration // of the stream; 0 is no limit
	ackWait  time.Duration
	priority bool // the consumer wants pulls with a priority
	stream   jetstream.Stream
	bucket   jetstream.KeyValue
}

// Open attaches to a provider's consumer; whatever is missing is made first,
// unless the topology says to provision nothing. It tries once: a start that
// waits for NATS calls it again while Transient(err).
func Open(ctx context.Context, js jetstream.JetStream, provider string, o Options) (*Consumer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FloorEvery == 0 {
		o.FloorEvery = defaultFloorEvery
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	o.Topology.Providers = []string{provider}
	c := &Consumer{
		js:        js,
		nc:        js.Conn(),
		log:       o.Log.With("provider", provider),
		provider:  provider,
		options:   o,
		nextMsg:   apiPrefix(js) + "CONSUMER.MSG.NEXT." + EventsStream + "." + provider,
		alive:     newKeepAlive(),
		turn:      make(chan struct{}, 1),
		requests:  make(map[*request]struct{}),
		reconnect: make(chan struct{}),
		recheck:   make(chan struct{}, 1),
	}
	if err := c.attach(ctx); err != nil {
		return nil, err
	}
	// A stream deleted and made again between two pulls shows in nothing that
	// a delivery carries. The server tells; when it may not, the next floor
	// notices.
	advisories, err := c.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.*."+EventsStream, func(*nats.Msg) { c.lookNow() })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", streamName(EventsStream), err)
	}
	c.ctx, c.close = context.WithCancel(context.Background())
	connected := c.nc.StatusChanged(nats.CONNECTED)
	c.done.Go(func() {
		defer c.nc.RemoveStatusListener(connected)
		c.keepAlive(connected)
	})
	c.done.Go(func() {
		// Refused on a closed connection, where nothing is left to end.
		defer func() { _ = advisories.Unsubscribe() }()
		c.keepFloor()
	})
	return c, nil
}

// Close ends the Consumer's goroutines and any open Pull, and stores the floor
// a last time. What was handed out and not settled is no longer kept alive.
func (c *Consumer) Close() {
	c.close()
	c.done.Wait()
}

// Flush returns when every settlement up to now has reached the server. It
// waits as long as ctx, and for ten seconds at most.
func (c *Consumer) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return c.nc.FlushWithContext(ctx)
}

// Held is the number of messages that are handed out and not settled.
func (c *Consumer) Held() int { return c.alive.size() }

// MaxAge is the age at which the stream drops an event, 0 for no limit, as
// last looked at.
func (c *Consumer) MaxAge() time.Duration { return c.at.Load().maxAge }

// AckWait is how long the server waits for a sign of life of a message.
func (c *Consumer) AckWait() time.Duration { return c.at.Load().ackWait }

// Transient says whether an error of Open or Ensure may pass by itself: no
// connection, no answer, a server that is still starting.
func Transient(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= 500 && api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabled &&
			api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabledForAccount
	}
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrNoServers, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// attach looks at what there is, and makes what is missing.
func (c *Consumer) attach(ctx context.Context) error {
	at, err := c.look(ctx)
	if vanished(err) {
		c.log.InfoContext(ctx, "making what is missing", "missing", err)
		kept, ensureErr := Ensure(ctx, c.js, c.options.Topology)
		if ensureErr != nil {
			return ensureErr
		}
		for _, f := range kept {
			c.log.WarnContext(ctx, f.String())
		}
		if at, err = c.look(ctx); err == nil {
			c.log.InfoContext(ctx, "made consumer", "from", at.start)
		}
	}
	if err != nil {
		return err
	}
	if old := c.at.Swap(&at.attachment); old != nil && !old.created.Equal(at.created) {
		c.log.WarnContext(ctx, "stream was made anew: what is held of the old one is let go", "held", c.alive.size())
	}
	return nil
}

// sighting is an attachment and where its consumer began.
type sighting struct {
	attachment
	start uint64
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
	return &sighting{attachment{
		created:  info.Created,
		maxAge:   info.Config.MaxAge,
		ackWait:  shortestWait(config),
		priority: config.PriorityPolicy == jetstream.PriorityPolicyPrioritized,
		stream:   stream,
		bucket:   bucket,
	}, config.OptStartSeq}, errors.Join(broken...)
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
		try, cancel := context.WithTimeout(ctx, requestTimeout)
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
		case <-c.nextReconnect():
		case <-time.After(longestPause):
		}
	}
	return nil
}

func (c *Consumer) nextReconnect() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reconnect
}

// lookNow makes the floor's goroutine look at the stream at once.
func (c *Consumer) lookNow() {
	select {
	case c.recheck <- struct{}{}:
	default:
	}
}

func (c *Consumer) ackFailed(err error) {
	if c.options.AckFailed != nil {
		c.options.AckFailed(err)
	}
}

// newPause spaces attempts: it grows without an end in time.
func newPause() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause), backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
}

func apiPrefix(js jetstream.JetStream) string {
	o := js.Options()
	switch {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	case o.APIPrefix == "":
		return jetstream.DefaultAPIPrefix
	case o.APIPrefix[len(o.APIPrefix)-1] != '.':
		return o.APIPrefix + "."
	default:
		return o.APIPrefix
	}
}
