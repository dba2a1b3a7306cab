package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// lastFloorWithin bounds what a Close waits for its last floor.
const lastFloorWithin = 2 * time.Second

// keepAlive tells the server of every held message in time that it is being
// worked on, and wakes the pulls after a reconnect.
func (c *Consumer) keepAlive(connected <-chan nats.Status) {
	timer := time.NewTimer(c.tick())
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-connected:
			c.newSession()
			// The server counted on while nobody could be heard.
			c.touch(true)
			c.lookNow()
		case <-timer.C:
			c.touch(false)
			timer.Reset(c.tick())
		}
	}
}

func (c *Consumer) newSession() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endSession()
	c.session, c.endSession = context.WithCancel(context.Background())
}

func (c *Consumer) tick() time.Duration {
	return max(c.at.Load().ackWait/ticksPerAckWait, time.Millisecond)
}

func (c *Consumer) touch(all bool) {
	c.mu.Lock()
	open := make([]*request, 0, len(c.requests))
	for r := range c.requests {
		open = append(open, r)
	}
	c.mu.Unlock()
	for _, r := range open {
		r.collect()
	}
	if !c.nc.IsConnected() {
		return
	}
	c.alive.round(all, func(m *Message) bool {
		if !m.current() {
			return false
		}
		if err := c.nc.Publish(m.msg.Reply, progressBody); err != nil {
			c.ackFailed(err)
		}
		return true
	})
}

// keepFloor stores the floor now and then, and notices what vanished while no
// pull was open.
func (c *Consumer) keepFloor() {
	ticker := time.NewTicker(c.options.FloorEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-c.ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), lastFloorWithin)
			defer cancel()
			if err := c.storeFloor(last); err != nil {
				c.log.Debug("floor not stored at the end", "err", err)
			}
			return
		case <-c.recheck:
		case <-ticker.C:
		}
		err := c.review(c.ctx)
		if err != nil && !failing && c.ctx.Err() == nil {
			c.log.Warn("floor not stored: a consumer made again would repeat more", "err", err)
		}
		failing = err != nil
	}
}

// review stores the floor, and attaches anew when something is not as it was.
func (c *Consumer) review(ctx context.Context) error {
	at := c.at.Load()
	ask, cancel := c.question(ctx)
	defer cancel()
	err := c.storeFloor(ask)
	if errors.Is(err, errChanged) || vanished(err) {
		return c.repair(ctx, at, err.Error())
	}
	return err
}

var errChanged = errors.New("stream or consumer changed")

// storeFloor writes how far everything is acknowledged. The creation time is
// read before the position: when the stream is made anew between the two, the
// floor belongs to the old one and nobody will use it.
func (c *Consumer) storeFloor(ctx context.Context) error {
	if !c.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	at := c.at.Load()
	seen, err := c.look(ctx)
	if err != nil {
		return err
	}
	if !seen.created.Equal(at.created) || seen.maxAge != at.maxAge || seen.ackWait != at.ackWait || seen.priority != at.priority {
		return errChanged
	}
	return writeFloor(ctx, seen.bucket, FloorKey(c.provider), floor{StreamCreated: seen.created, Seq: seen.floor})
}
