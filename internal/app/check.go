package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
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

// checkTimeout bounds each question to the broker.
const checkTimeout = 10 * time.Second

// Check looks at everything that `worker run` would need and changes nothing.
func Check(ctx context.Context, s config.Worker) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		_ = checkBroker(ctx, s, yield) && checkProviders(ctx, s, yield)
	}
}

// checkBroker reports false when nobody wants to hear more.
func checkBroker(ctx context.Context, s config.Worker, yield func(Finding) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := s.NATS.Connect(ctx, "tokenrelay worker check")
	if err != nil {
		return yield(broken("%v", err))
	}
	defer conn.Close()
	if !yield(fine("NATS: server %s", conn.ConnectedServerVersion())) {
		return false
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return yield(broken("JetStream: %v", err))
	}
	found, err := consumer.Drift(ctx, js, Topology(s, false))
	if err != nil {
		return yield(broken("%v", err))
	}
	for _, f := range found {
		if !yield(Finding{Broken: f.Severity == consumer.Broken, Warning: f.Severity == consumer.Warning, Text: f.String()}) {
			return false
		}
	}
	if len(found) == 0 && !yield(fine("streams, consumers and bucket are as declared")) {
		return false
	}
	return checkHolds(ctx, conn, js, s, yield)
}

func checkHolds(ctx context.Context, conn *nats.Conn, js jetstream.JetStream, s config.Worker, yield func(Finding) bool) bool {
	holds, end, err := openHolds(ctx, conn, js)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return true // has its line already
	}
	if err != nil {
		return yield(broken("%v", err))
	}
	defer end()
	for _, name := range s.Providers.Names {
		state := holds.State(name)
		finding := fine("%s: not held", name)
		if state.Held {
			finding = warned("%s: held since %s, next probe %s: %s (%s); `worker resume %s` ends it", name,
				state.Hold.Since.Format(time.RFC3339), state.Hold.Until.Format(time.RFC3339), state.Hold.Reason, state.Hold.Detail, name)
		}
		if !yield(finding) {
			return false
		}
	}
	return true
}

// openHolds shows the fleet's holds to a command that leaves again.
func openHolds(ctx context.Context, conn *nats.Conn, js jetstream.JetStream) (*fleet.Holds, func(), error) {
	if _, err := js.KeyValue(ctx, consumer.FleetBucket); err != nil {
		return nil, nil, fmt.Errorf("bucket %s: %w", consumer.FleetBucket, err)
	}
	log := slog.New(slog.DiscardHandler)
	board := fleet.NewBoard(fleet.BoardSettings{JS: js, Bucket: consumer.FleetBucket, Log: log})
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); board.Run(watching) }()
	end := func() { stop(); <-ended }
	select {
	case <-board.Loaded():
		return fleet.NewHolds(board, "operator", fleet.Schedule{}, 0, log), end, nil
	case <-ctx.Done():
		end()
		return nil, nil, fmt.Errorf("bucket %s: no answer: %w", consumer.FleetBucket, ctx.Err())
	}
}

// checkProviders asks CleverTap to validate a made-up record without storing
// it. Courier has nothing of the kind; its key shows with the first event.
func checkProviders(ctx context.Context, s config.Worker, yield func(Finding) bool) bool {
	if slices.Contains(s.Providers.Names, event.CleverTap) && !yield(checkCleverTap(ctx, s)) {
		return false
	}
	if slices.Contains(s.Providers.Names, event.Courier) {
		return yield(fine("courier: it has no dry run; the key is tried by the first event"))
	}
	return true
}

func checkCleverTap(ctx context.Context, s config.Worker) Finding {
	client, err := NewCleverTap(s)
	if err != nil {
		return broken("clevertap: %v", err)
	}
	record, err := client.Prepare(&event.Event{ObjectID: "tokenrelay-check", Token: "tokenrelay-check", Type: "fcm"})
	if err != nil {
		return broken("clevertap: %v", err)
	}
	answer := client.DryRun(ctx, []providers.Record{record})
	switch answer.Result {
	case providers.OK, providers.Partial: // a made-up record may be refused: the account was let in
		return fine("clevertap: the account and the passcode are accepted")
	case providers.Throttled:
		return warned("clevertap: %s", answer.Reason)
	}
	text := strings.TrimSuffix(answer.Reason, ".")
	if answer.Hint != "" {
		text += "; " + answer.Hint
	}
	return broken("clevertap: %s", text)
}

// Resume ends a provider's hold for the whole fleet and reports whether there
// was one.
func Resume(ctx context.Context, settings config.NATS, provider string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := settings.Connect(ctx, "tokenrelay worker resume")
	if err != nil {
		return false, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return false, fmt.Errorf("JetStream: %w", err)
	}
	holds, end, err := openHolds(ctx, conn, js)
	if err != nil {
		return false, err
	}
	defer end()
	return holds.Resume(ctx, provider)
}
