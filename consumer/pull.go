package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// maxPriority is the last that a server takes; 0 is served first.
	maxPriority = 9

	// statusRoom is for the server's signs of life in a pull's buffer, beside
	// its messages: six heartbeats and an end.
	statusRoom = 32

	heartbeatsPerPull = 6 // then the server ends the pull and it is asked again
)

// Largest is more than any message of the events' stream has in bytes, its
// subjects included.
const Largest = 80 << 10

// Pull asks for exactly n messages and hands each to take as it arrives, in
// this goroutine. It returns nil after n messages. When ctx ends, whatever the
// server has sent by then still reaches take, and Pull returns ctx.Err().
//
// A consumer that vanished is made again, a server that is away is waited for:
// the only other errors are ErrClosed and a connection closed for good.
//
// Take may block: what arrives meanwhile is kept alive too. Of several pulls
// at one time those with the lowest priority (0 to 9, higher ones count as 9)
// are served first, if the consumer is prioritized.
func (c *Consumer) Pull(ctx context.Context, n, priority int, take func(*Message)) error {
	return c.pull(ctx, n, 0, priority, take)
}

// PullUpTo is Pull for messages that together have no more than a number of
// bytes: it returns nil before n when the next one does not fit. Fewer bytes
// than Largest count as Largest; a message that is larger comes alone.
func (c *Consumer) PullUpTo(ctx context.Context, n, bytes, priority int, take func(*Message)) error {
	return c.pull(ctx, n, max(bytes, Largest), priority, take)
}

// pull has no limit for bytes when they are 0.
func (c *Consumer) pull(ctx context.Context, n, bytes, priority int, take func(*Message)) error {
	pause := newPause()
	taken := 0 // bytes
	weigh := func(m *Message) {
		taken += m.Size()
		take(m)
	}
	for n > 0 && (bytes == 0 || bytes-taken >= Largest) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			return ErrClosed
		}
		at := c.at.Load()
		got, doubt := c.request(ctx, at, pullBody{n: n, bytes: max(0, bytes-taken), priority: priority}, weigh)
		n -= got
		switch {
		case n == 0, doubt == doesNotFit && taken > 0:
			return nil
		case doubt == doesNotFit: // somebody allows larger ones: this one alone
			n, bytes = 1, 0
			continue
		}
		if got > 0 || doubt == "" {
			pause.Reset()
		}
		if doubt == "" || ctx.Err() != nil || c.ctx.Err() != nil {
			continue
		}
		if err := c.mend(ctx, at, doubt); err != nil {
			return err
		}
		if got == 0 {
			c.sleep(ctx, pause.NextBackOff())
		}
	}
	return nil
}

// mend is repair for as long as both the pull and the consumer last. Only a
// connection closed for good is an error; the rest is the loop's.
func (c *Consumer) mend(ctx context.Context, at *attachment, doubt string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	if err := c.repair(ctx, at, doubt); err != nil && ctx.Err() == nil {
		return fmt.Errorf("pull of %s: %w", c.provider, err)
	}
	return nil
}

func (c *Consumer) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
}

// request pulls until it has n messages, ctx ends or the server has sent all it
// will. The doubt says why the consumer must be looked at before the next one;
// it is empty when the time the server was given has passed.
func (c *Consumer) request(ctx context.Context, at *attachment, ask pullBody, take func(*Message)) (got int, doubt string) {
	n := ask.n
	r := &request{c: c, at: at, in: make(chan *nats.Msg, n+statusRoom)}
	session := c.currentSession()
	inbox := c.nc.NewInbox()
	sub, err := c.nc.ChanSubscribe(inbox, r.in)
	if err != nil {
		return 0, err.Error()
	}
	c.opened(r)
	defer c.ended(r)
	// Refused only when the subscription or the connection is gone already.
	defer func() { _ = sub.Unsubscribe() }()

	began := time.Now()
	if err := c.nc.PublishRequest(c.nextMsg, inbox, c.bodyOf(at, ask)); err != nil {
		return 0, err.Error()
	}
	silence := time.NewTimer(2 * c.options.Heartbeat)
	defer silence.Stop()
	due := n // messages of it that the server has sent or will
	heard, over, stopped := false, false, false
	for got < due && !stopped {
		a, ok := r.fromEarly()
		if !ok {
			select {
			case raw := <-r.in:
				a, heard = r.receive(raw), true
			case <-ctx.Done():
				stopped = true
				continue
			case <-c.ctx.Done():
				stopped = true
				continue
			case <-session.Done():
				stopped, doubt = true, "reconnected"
				continue
			case <-silence.C:
				if over || !heard {
					stopped, doubt = true, "no heartbeat"
				}
				heard = false
				silence.Reset(2 * c.options.Heartbeat)
				continue
			}
		}
		if a.m != nil {
			r.hand(a.m, take)
			got++
			continue
		}
		s := readStatus(a.status)
		if !s.over {
			continue
		}
		over, doubt = true, s.doubt
		if s.left == unsaid {
			stopped = true
			continue
		}
		// What is missing is on its way: in a cluster it waits for a quorum, and
		// the status does not.
		due = n - s.left
		if s.expired && time.Since(began) < c.options.Heartbeat {
			doubt = "the server ends pulls early"
		}
		silence.Reset(2 * c.options.Heartbeat)
	}
	if got < due {
		got += r.lastMoment(due-got, take)
		got += r.drain(sub, take)
	}
	if got == n {
		doubt = ""
	}
	return got, doubt
}

// pullBody is what one request asks for.
type pullBody struct {
	n, bytes, priority int // bytes: 0 is no limit
}

func (c *Consumer) bodyOf(at *attachment, ask pullBody) []byte {
	beat := c.options.Heartbeat
	body := fmt.Appendf(nil, `{"expires":%d,"batch":%d,"idle_heartbeat":%d`, heartbeatsPerPull*beat, ask.n, beat)
	if ask.bytes > 0 {
		body = fmt.Appendf(body, `,"max_bytes":%d`, ask.bytes)
	}
	if at.priority {
		body = fmt.Appendf(body, `,"group":%q,"priority":%d`, SendersGroup, min(max(ask.priority, 0), maxPriority))
	}
	return append(body, '}')
}

func (c *Consumer) opened(r *request) {
	c.mu.Lock()
	c.requests[r] = struct{}{}
	c.mu.Unlock()
}

func (c *Consumer) ended(r *request) {
	c.mu.Lock()
	delete(c.requests, r)
	c.mu.Unlock()
}
