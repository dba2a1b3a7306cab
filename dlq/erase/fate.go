package erase

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/scan"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// consumer is a provider's position in the stream; nil when no worker of it
// has ever run.
func (e *Eraser) consumer(ctx context.Context, provider string) (*jetstream.ConsumerInfo, error) {
	c, err := e.events.Consumer(ctx, provider)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s of %s: %w", provider, consumer.EventsStream, err)
	}
	return c.CachedInfo(), nil
}

// open lists the providers whose workers may have an event in hand: it was
// handed out, and is not certain to be settled.
func (e *Eraser) open(ctx context.Context, m scan.Message) ([]string, error) {
	var list []string
	for _, provider := range addressed(m) {
		info, err := e.consumer(ctx, provider)
		if err != nil {
			return nil, err
		}
		if info != nil && info.Delivered.Stream >= m.Seq && info.AckFloor.Stream < m.Seq && info.NumAckPending > 0 {
			list = append(list, provider)
		}
	}
	return list, nil
}

// await waits until nobody has an event in hand, or the deadline.
func (e *Eraser) await(ctx context.Context, m scan.Message, deadline time.Time) (open []string, err error) {
	for {
		open, err = e.open(ctx, m)
		if err != nil || len(open) == 0 || time.Now().After(deadline) {
			return open, err
		}
		pause := time.NewTimer(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return open, context.Cause(ctx)
		}
	}
}

// tellTime is how long a worker may take to say that it has counted.
const tellTime = 2 * time.Second

// tellWorkers lets one worker count what was erased: events_total is the
// workers' metric, and nobody else can keep it. Best effort; what nobody
// counted the caller tells.
func (e *Eraser) tellWorkers(ctx context.Context, done *Counts) {
	for provider, n := range maps.All(done.Erased) {
		bounded, cancel := context.WithTimeout(ctx, tellTime)
		if _, err := e.js.Conn().RequestWithContext(bounded, dlq.ErasedSubject(provider), []byte(strconv.Itoa(n))); err == nil {
			done.Counted[provider] = n
		}
		cancel()
	}
}

// reply tells who waits for the event's outcome, as its workers would.
func (e *Eraser) reply(m scan.Message, provider string) {
	outcome := publisher.Outcome{ID: m.Header.Get(jetstream.MsgIDHeader), StreamSeq: m.Seq, Provider: provider, Outcome: "erased"}
	if ev, err := event.Decode(m.Data); err == nil && ev.ID != "" {
		outcome.ID = ev.ID
	}
	_ = outcome.Tell(e.js.Conn(), m.Header.Get(publisher.OutcomeReplyHeader)) // best effort, as every report
}
