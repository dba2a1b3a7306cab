package consumer

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

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
		var err error
		select {
		case <-c.ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := c.storeFloor(last); err != nil {
				c.log.Debug("floor not stored at the end", "err", err)
			}
			return
		case <-c.recheck:
			err = c.review(c.ctx)
		case <-ticker.C:
			err = c.review(c.ctx)
		}
		if err != nil && !failing && c.ctx.Err() == nil {
			c.log.Warn("floor not stored: a consumer made again would repeat more", "err", err)
		}
		failing = err != nil
	}
}

// review looks whether all is still as it was, and stores the floor.
func (c *Consumer) review(ctx context.Context) error {
	at := c.at.Load()
	look, cancel := c.question(ctx)
	defer cancel()
	seen, err := c.look(look)
	if vanished(err) || err == nil && !seen.created.Equal(at.created) {
		if err := c.repair(ctx, at, "it changed"); err != nil {
			return err
		}
	} else if err != nil {
		return err
	} else if seen.maxAge != at.maxAge || seen.ackWait != at.ackWait {
		c.at.CompareAndSwap(at, &seen.attachment)
	}
	store, cancel := c.question(ctx)
	defer cancel()
	return c.storeFloor(store)
}

// storeFloor writes how far everything is acknowledged. The creation time is
// one read before the position: when the stream is made anew between the two,
// the floor belongs to the old one and nobody will use it.
func (c *Consumer) storeFloor(ctx context.Context) error {
	at := c.at.Load()
	if !c.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	cons, err := at.stream.Consumer(ctx, c.provider)
	if err != nil {
		return err
	}
	return writeFloor(ctx, at.bucket, c.provider, floor{StreamCreated: at.created, Seq: cons.CachedInfo().AckFloor.Stream})
}
