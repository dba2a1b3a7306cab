package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Backlog is what waits for a provider in the whole fleet.
type Backlog struct {
	Pending int       // events not acknowledged, those handed out included
	Oldest  time.Time // when the oldest of them was stored; zero when none waits
	// Served: somebody waits at the server for events, or was handed some within
	// the last ack wait. What was handed to a pod that died stays pending, and is
	// no sign.
	Served bool
	// PausedUntil is when the server hands out again what an operator paused
	// (`nats consumer pause`), by our clock, to the second; zero: not paused.
	PausedUntil time.Time
}

// Pending asks the server what waits. It costs it three questions.
func (c *Consumer) Pending(ctx context.Context) (Backlog, error) {
	return pending(ctx, c.at.Load().stream, c.provider)
}

// Pending asks the server what waits, for whoever has no Consumer open. The
// error is jetstream.ErrStreamNotFound or jetstream.ErrConsumerNotFound where
// there is none.
func Pending(ctx context.Context, js jetstream.JetStream, provider string) (Backlog, error) {
	stream, err := js.Stream(ctx, EventsStream)
	if err != nil {
		return Backlog{}, fmt.Errorf("%s: %w", streamName(EventsStream), err)
	}
	return pending(ctx, stream, provider)
}

func pending(ctx context.Context, stream jetstream.Stream, provider string) (Backlog, error) {
	cons, err := stream.Consumer(ctx, provider)
	if err != nil {
		return Backlog{}, fmt.Errorf("%s: %w", consumerName(provider), err)
	}
	info := cons.CachedInfo()
	b := Backlog{Pending: int(info.NumPending) + info.NumAckPending, Served: info.NumWaiting > 0}
	if last := info.Delivered.Last; last != nil && info.TimeStamp.Sub(*last) < ackWait { // by the server's clock alone
		b.Served = true
	}
	if info.Paused { // the rest, for the server's clock may be another
		b.PausedUntil = time.Now().Add(info.PauseRemaining).Round(time.Second)
	}
	if b.Pending == 0 {
		return b, nil
	}
	// The first event after the floor is by definition not acknowledged.
	for _, subject := range filterSubjects(provider) {
		msg, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return Backlog{}, fmt.Errorf("%s: oldest event on %s: %w", streamName(EventsStream), subject, err)
		}
		if b.Oldest.IsZero() || msg.Time.Before(b.Oldest) {
			b.Oldest = msg.Time
		}
	}
	return b, nil
}
