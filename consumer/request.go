package consumer

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// When a pull is given up, what the server is sending at that moment is
	// taken first. Under load that is the rest of the batch, within
	// milliseconds; on a quiet stream it is nothing. (What the server sends to
	// a subscription that has just gone it delivers again at once, but counts
	// as a delivery; between two servers it is only missed after the ack wait.)
	quietAfter          = 10 * time.Millisecond
	quietAfterInCluster = 100 * time.Millisecond // a quorum takes its time, too
	lastMoment          = 500 * time.Millisecond
	drainWithin         = 2 * time.Second
)

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

// lastMoment takes what the server is still sending, at most n messages.
func (r *request) lastMoment(n int, take func(*Message)) (got int) {
	if !r.c.nc.IsConnected() {
		return 0
	}
	end := time.NewTimer(lastMoment)
	defer end.Stop()
	enough := quietAfter
	if r.at.replicated {
		enough = quietAfterInCluster
	}
	quiet := time.NewTimer(enough)
	defer quiet.Stop()
	told := false // n is the server's word
	for got < n {
		a, ok := r.fromEarly()
		if !ok {
			select {
			case raw := <-r.in:
				a = r.receive(raw)
			case <-quiet.C:
				if !told && !r.sending() {
					return got
				}
				quiet.Reset(enough)
				continue
			case <-end.C:
				return got
			}
		}
		if a.m == nil {
			if s := readStatus(a.status); s.over && s.left != unsaid {
				n, told = n-s.left, true
			}
			continue
		}
		r.hand(a.m, take)
		got++
		quiet.Reset(enough)
	}
	return got
}

// sending says whether the server has something for this pull: then silence
// only means that it is slow.
func (r *request) sending() bool {
	ctx, cancel := context.WithTimeout(context.Background(), lastMoment)
	defer cancel()
	cons, err := r.at.stream.Consumer(ctx, r.c.provider)
	if err != nil {
		return false
	}
	info := cons.CachedInfo()
	return info.NumPending > 0 && !info.Paused && (info.Config.MaxAckPending <= 0 || info.NumAckPending < info.Config.MaxAckPending)
}

// drain ends the subscription at the server, and takes what it had sent.
func (r *request) drain(sub *nats.Subscription, take func(*Message)) (got int) {
	closed, end := context.WithCancel(context.Background())
	defer end()
	// The client may tell twice, where the connection breaks at this moment.
	sub.SetClosedHandler(func(string) { end() })
	if r.c.nc.IsConnected() && sub.Drain() == nil {
		limit := time.NewTimer(drainWithin)
		defer limit.Stop()
		select {
		case <-closed.Done():
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

// doesNotFit is how the server ends a pull whose next message is larger than
// what is left of its bytes. It casts no doubt on the consumer.
const doesNotFit = "status 409 Message Size Exceeds MaxBytes"

// unsaid is the number of messages that a status does not tell.
const unsaid = -1

// status is what the server says of a pull.
type status struct {
	over    bool
	left    int    // messages that it has not sent and will not, once it is over
	expired bool   // its time has passed
	doubt   string // why the consumer must be looked at
}

func readStatus(msg *nats.Msg) status {
	code := msg.Header.Get("Status")
	if code == "100" || code == "" {
		return status{}
	}
	s := status{over: true, left: unsaid, expired: code == "408"}
	if left, err := strconv.Atoi(msg.Header.Get("Nats-Pending-Messages")); err == nil && left >= 0 {
		s.left = left
	}
	if description := msg.Header.Get("Description"); !s.expired && description != "Batch Completed" {
		s.doubt = fmt.Sprintf("status %s %s", code, description)
	}
	return s
}
