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
}

// Pending asks the server what waits. It costs it three questions.
func (c *Consumer) Pending(ctx context.Context) (Backlog, error) {
	at := c.at.Load()
	cons, err := at.stream.Consumer(ctx, c.provider)
	if err != nil {
		return Backlog{}, fmt.Errorf("%s: %w", consumerName(c.provider), err)
	}
	info := cons.CachedInfo()
	b := Backlog{Pending: int(info.NumPending) + info.NumAckPending}
	if b.Pending == 0 {
		return b, nil
	}
	// The first event after the floor is by definition not acknowledged.
	for _, subject := range filterSubjects(c.provider) {
		msg, err := at.stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(subject))
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
