package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrClosed is what a Pull ends with when its Consumer was closed.
var ErrClosed = errors.New("consumer is closed")

const (
	defaultFloorEvery = 10 * time.Second
	defaultHeartbeat  = 5 * time.Second

	flushTimeout = 10 * time.Second
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

	mu         sync.Mutex
	requests   map[*request]struct{} // open pulls
	session    context.Context       // from one (re)connect to the next
	endSession context.CancelFunc

	recheck chan struct{} // asks the floor's goroutine to look now
	ctx     context.Context
	close   context.CancelFunc
	done    sync.WaitGroup
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
		js:       js,
		nc:       js.Conn(),
		log:      o.Log.With("provider", provider),
		provider: provider,
		options:  o,
		nextMsg:  apiPrefix(js) + "CONSUMER.MSG.NEXT." + EventsStream + "." + provider,
		alive:    newKeepAlive(),
		turn:     make(chan struct{}, 1),
		requests: make(map[*request]struct{}),
		recheck:  make(chan struct{}, 1),
	}
	c.session, c.endSession = context.WithCancel(context.Background())
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endSession()
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
// connection, no answer, a server that is still starting, a cluster that is not
// whole, or what another one is making at this moment.
func Transient(err error) bool {
	if _, ok := errors.AsType[*notYetError](err); ok {
		return true
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return clusterNotWhole(api.ErrorCode) || api.Code == 503 && api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabled &&
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

// clusterNotWhole knows answers of a cluster for which the client has no names:
// no peers for so many replicas, no leader here; the stream, the consumer is
// offline.
func clusterNotWhole(code jetstream.ErrorCode) bool {
	return slices.Contains([]jetstream.ErrorCode{10005, 10009, 10118, 10119}, code)
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
