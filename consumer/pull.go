package consumer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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

	// When a pull is given up, what the server is sending at that moment is
	// taken first. Under load that is the rest of the batch, within
	// milliseconds; on a quiet stream it is nothing.
	quietAfter  = 20 * time.Millisecond
	lastMoment  = 250 * time.Millisecond
	drainWithin = 2 * time.Second
)

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
	pause := newPause()
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			return ErrClosed
		}
		at := c.at.Load()
		got, doubt := c.request(ctx, at, n, priority, take)
		n -= got
		if n == 0 {
			return nil
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

// request is one question to the server for a number of messages, and the
// subscription that its answers come to.
type request struct {
	c  *Consumer
	at *attachment
	in chan *nats.Msg

	mu    sync.Mutex
	busy  atomic.Bool // in take; set without the lock, cleared under it
	early []arrival   // what came during take; the keep-alive's while busy, the puller's otherwise
}

// arrival is a message, or a status of the pull.
type arrival struct {
	m      *Message
	status *nats.Msg
}

// request pulls until it has n messages, ctx ends or the server stops
// answering. The doubt says why the consumer must be looked at before the next
// one; it is empty when the time the server was given has passed.
func (c *Consumer) request(ctx context.Context, at *attachment, n, priority int, take func(*Message)) (got int, doubt string) {
	r := &request{c: c, at: at, in: make(chan *nats.Msg, n+statusRoom)}
	reconnect := c.nextReconnect()
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
	if err := c.nc.PublishRequest(c.nextMsg, inbox, c.pullBody(at, n, priority)); err != nil {
		return 0, err.Error()
	}
	silence := time.NewTimer(2 * c.options.Heartbeat)
	defer silence.Stop()
	heard, stopped := false, false
	for got < n && doubt == "" && !stopped {
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
			case <-reconnect:
				doubt = "reconnected"
				continue
			case <-silence.C:
				if !heard {
					doubt = "no heartbeat"
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
		switch over, reason := readStatus(a.status); {
		case !over:
		case reason != "":
			doubt = reason
		case time.Since(began) < c.options.Heartbeat:
			doubt = "the server ends pulls early"
		default:
			// Not stopped, nothing to doubt: ask again.
			return got, ""
		}
	}
	if got == n {
		return got, ""
	}
	if stopped {
		got += r.lastMoment(n-got, take)
	}
	return got + r.drain(sub, take), doubt
}

func (c *Consumer) pullBody(at *attachment, n, priority int) []byte {
	beat := c.options.Heartbeat
	body := fmt.Appendf(nil, `{"expires":%d,"batch":%d,"idle_heartbeat":%d`, heartbeatsPerPull*beat, n, beat)
	if at.priority {
		body = fmt.Appendf(body, `,"group":%q,"priority":%d`, SendersGroup, min(max(priority, 0), maxPriority))
	}
	return append(body, '}')
}

// receive makes a message of what came, and has it kept alive from now on. What
// is no delivery is a status, whatever an app may have put into its headers.
func (r *request) receive(raw *nats.Msg) arrival {
	delivered, seq, stored, err := parseReply(raw.Reply)
	if err != nil {
		return arrival{status: raw}
	}
	m := &Message{msg: raw, c: r.c, at: r.at, seq: seq, stored: stored, delivered: delivered}
	r.c.alive.add(m)
	if delivered > 1 && r.c.options.Redelivered != nil {
		r.c.options.Redelivered()
	}
	return arrival{m: m}
}

// hand gives a message to take, and what comes meanwhile to the keep-alive.
func (r *request) hand(m *Message, take func(*Message)) {
	r.busy.Store(true)
	defer func() {
		r.mu.Lock()
		r.busy.Store(false)
		r.mu.Unlock()
	}()
	take(m)
}

// collect takes what lies in the buffer while the puller is in take.
func (r *request) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.busy.Load() {
		select {
		case raw := <-r.in:
			r.early = append(r.early, r.receive(raw))
		default:
			return
		}
	}
}

func (r *request) fromEarly() (arrival, bool) {
	if len(r.early) == 0 {
		return arrival{}, false
	}
	a := r.early[0]
	r.early = r.early[1:]
	return a, true
}

// lastMoment takes what the server is still sending.
func (r *request) lastMoment(n int, take func(*Message)) (got int) {
	if !r.c.nc.IsConnected() {
		return 0
	}
	end := time.NewTimer(lastMoment)
	defer end.Stop()
	quiet := time.NewTimer(quietAfter)
	defer quiet.Stop()
	for got < n {
		a, ok := r.fromEarly()
		if !ok {
			select {
			case raw := <-r.in:
				a = r.receive(raw)
			case <-quiet.C:
				return got
			case <-end.C:
				return got
			}
		}
		if a.m == nil {
			if over, _ := readStatus(a.status); over {
				return got
			}
			continue
		}
		r.hand(a.m, take)
		got++
		quiet.Reset(quietAfter)
	}
	return got
}

// drain ends the subscription at the server, and takes what it had sent.
func (r *request) drain(sub *nats.Subscription, take func(*Message)) (got int) {
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	if err := sub.Drain(); err == nil {
		limit := time.NewTimer(drainWithin)
		defer limit.Stop()
		select {
		case <-closed:
		case <-limit.C:
		}
	}
	for {
		a, ok := r.fromEarly()
		if !ok {
			select {
			case raw := <-r.in:
				a = r.receive(raw)
			default:
				return got
			}
		}
		if a.m != nil {
			r.hand(a.m, take)
			got++
		}
	}
}

// readStatus says whether a status ends the pull, and whether that casts doubt
// on the consumer. A pull that simply took too long does not.
func readStatus(msg *nats.Msg) (over bool, doubt string) {
	switch code := msg.Header.Get("Status"); code {
	case "100", "":
		return false, ""
	case "408":
		return true, ""
	default:
		return true, fmt.Sprintf("status %s %s", code, msg.Header.Get("Description"))
	}
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
