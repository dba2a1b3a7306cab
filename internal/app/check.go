package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
)

// Finding is one line of `worker check`.
type Finding struct {
	Broken  bool // something would not work
	Warning bool
	Text    string
}

func (f Finding) String() string {
	switch {
	case f.Broken:
		return "broken   " + f.Text
	case f.Warning:
		return "warning  " + f.Text
	}
	return "ok       " + f.Text
}

func fine(format string, args ...any) Finding { return Finding{Text: fmt.Sprintf(format, args...)} }
func warned(format string, args ...any) Finding {
	return Finding{Warning: true, Text: fmt.Sprintf(format, args...)}
}
func broken(format string, args ...any) Finding {
	return Finding{Broken: true, Text: fmt.Sprintf(format, args...)}
}

// checkTimeout bounds the questions to the broker.
const checkTimeout = 10 * time.Second

// Check looks at everything that `worker run` would need. It changes nothing,
// but for a permit that it borrows while it asks CleverTap.
func Check(ctx context.Context, s config.Worker) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		c := &checker{settings: s, yield: yield, refusals: newRefusals(slog.New(slog.DiscardHandler))}
		_ = c.broker(ctx)
		c.providers(ctx)
		c.close()
	}
}

// checker is one run of Check: what it found open on its way.
type checker struct {
	settings config.Worker
	yield    func(Finding) bool
	deaf     bool // nobody wants to hear more

	refusals *refusals
	conn     *nats.Conn
	board    *fleet.Board
	noFleet  bool // there is no bucket, so nobody holds a permit
	mute     bool // the fleet's state may not be changed
	end      func()
}

func (c *checker) say(f Finding) {
	if !c.deaf {
		c.deaf = !c.yield(f)
	}
}

func (c *checker) close() {
	if c.end != nil {
		c.end()
	}
	if c.conn != nil {
		c.conn.Close()
	}
}

// broker reports whether the fleet's state could be read.
func (c *checker) broker(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := c.settings.NATS.Connect(bounded, "tokenrelay worker check", c.refusals.option())
	if err != nil {
		c.say(broken("%v", err))
		return err
	}
	c.conn = conn
	c.say(fine("NATS: server %s", conn.ConnectedServerVersion()))
	js, err := jetstream.New(conn)
	if err != nil {
		c.say(broken("JetStream: %v", err))
		return err
	}
	found, err := ask(bounded, c.refusals, func(ctx context.Context) ([]consumer.Finding, error) {
		return consumer.Drift(ctx, js, Topology(c.settings, false))
	})
	if err != nil {
		c.say(broken("%v", err))
		return err
	}
	for _, f := range found {
		c.say(Finding{Broken: f.Severity == consumer.Broken, Warning: f.Severity == consumer.Warning, Text: f.String()})
	}
	if len(found) == 0 {
		c.say(fine("streams, consumers and bucket are as declared"))
	}
	c.tryRights(bounded)
	if _, err := js.KeyValue(bounded, consumer.FleetBucket); errors.Is(err, jetstream.ErrBucketNotFound) {
		c.noFleet = true // it has its line already
		return err
	}
	if c.board, c.end, err = watchBoard(ctx, bounded, js, c.refusals); err != nil {
		c.say(broken("%v", err))
		return err
	}
	c.fleet()
	return nil
}

// fleet shows holds and permits.
func (c *checker) fleet() {
	holds := fleet.NewHolds(c.board, "", fleet.Schedule{}, 0, slog.New(slog.DiscardHandler))
	for _, name := range c.settings.Providers.Names {
		state := holds.State(name)
		if !state.Held {
			c.say(fine("%s: not held", name))
			continue
		}
		c.say(warned("%s: held since %s, next probe %s: %s (%s); `worker resume %s` ends it", name,
			state.Hold.Since.Format(time.RFC3339), state.Hold.Until.Format(time.RFC3339), state.Hold.Reason, state.Hold.Detail, name))
	}
	if !slices.Contains(c.settings.Providers.Names, event.CleverTap) {
		return
	}
	state := c.permits().State()
	for _, number := range slices.Sorted(maps.Keys(state)) {
		permit := state[number]
		if permit.Holder == "" {
			c.say(fine("%s: permit %d is free since %s", event.CleverTap, number, permit.Since.Format(time.RFC3339)))
			continue
		}
		c.say(fine("%s: permit %d is held by %s since %s", event.CleverTap, number, permit.Holder, permit.Since.Format(time.RFC3339)))
	}
}

func (c *checker) permits() *fleet.Permits {
	return newPermits(c.board, podName()+"-check", c.settings, slog.New(slog.DiscardHandler))
}

// providers asks CleverTap to validate a made-up record without storing it.
// Courier has nothing of the kind; its key shows with the first event.
func (c *checker) providers(ctx context.Context) {
	if slices.Contains(c.settings.Providers.Names, event.CleverTap) {
		c.say(c.cleverTap(ctx))
	}
	if slices.Contains(c.settings.Providers.Names, event.Courier) {
		c.say(fine("%s: it has no dry run; the key is tried by the first event", event.Courier))
	}
}

// cleverTap makes one call, under a permit unless there can be no other caller.
func (c *checker) cleverTap(ctx context.Context) Finding {
	client, err := NewCleverTap(c.settings)
	if err != nil {
		return broken("%s: %v", event.CleverTap, err)
	}
	defer client.Close()
	switch {
	case c.board != nil && c.mute:
		return warned("%s: not asked, its calls need a permit, and the right to take one", event.CleverTap)
	case c.board != nil:
		waiting, cancel := context.WithTimeout(ctx, c.settings.Delivery.PermitLease+checkTimeout)
		defer cancel()
		permit, err := c.permits().Borrow(waiting)
		if err != nil && waiting.Err() == nil {
			return broken("%s: no permit can be taken, so that no worker can call: %v", event.CleverTap, err)
		}
		if err != nil {
			return warned("%s: not asked, no permit for the call came free within %s", event.CleverTap, c.settings.Delivery.PermitLease+checkTimeout)
		}
		defer permit.GiveBack(context.WithoutCancel(ctx))
		if _, ok := permit.Await(waiting); !ok {
			return warned("%s: not asked, the permit for the call was lost", event.CleverTap)
		}
	case !c.noFleet:
		return warned("%s: not asked, its calls need a permit from NATS", event.CleverTap)
	}
	if err := client.Check(ctx); err != nil {
		return broken("%s: %v", event.CleverTap, err)
	}
	return fine("%s: the account and the passcode are accepted", event.CleverTap)
}

// watchBoard shows the fleet's state to a command that leaves again; loading
// bounds the wait for it.
func watchBoard(ctx, loading context.Context, js jetstream.JetStream, refusals *refusals) (*fleet.Board, func(), error) {
	asking, answered := refusals.during(loading)
	defer answered()
	if _, err := js.KeyValue(asking, consumer.FleetBucket); err != nil {
		return nil, nil, fmt.Errorf("bucket %s: %w", consumer.FleetBucket, explain(asking, err))
	}
	board := fleet.NewBoard(fleet.BoardSettings{JS: js, Bucket: consumer.FleetBucket, Used: delivered(js), Log: slog.New(slog.DiscardHandler)})
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); board.Run(watching) }()
	end := func() { stop(); <-ended }
	select {
	case <-board.Loaded():
		return board, end, nil
	case <-asking.Done():
		end()
		return nil, nil, fmt.Errorf("bucket %s: no answer: %w", consumer.FleetBucket, context.Cause(asking))
	}
}

// Resume ends a provider's hold for the whole fleet. With believe the pods take
// what was refused by name in it for bad.
func Resume(ctx context.Context, settings config.NATS, provider string, believe bool) (fleet.Resumed, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	refusals := newRefusals(slog.New(slog.DiscardHandler))
	conn, err := settings.Connect(ctx, "tokenrelay worker resume", refusals.option())
	if err != nil {
		return fleet.Resumed{}, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fleet.Resumed{}, fmt.Errorf("JetStream: %w", err)
	}
	board, end, err := watchBoard(ctx, ctx, js, refusals)
	if err != nil {
		return fleet.Resumed{}, err
	}
	defer end()
	return fleet.NewHolds(board, "", fleet.Schedule{}, 0, slog.New(slog.DiscardHandler)).Resume(ctx, provider, believe)
}
