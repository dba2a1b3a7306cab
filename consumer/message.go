package consumer

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is one delivery of an event to this pod. It is kept alive (the
// server does not hand it to another pod) from its arrival until it settles,
// by the first Ack or Nak. Every other method may be called at any time, from
// any goroutine.
type Message struct {
	msg       *nats.Msg
	c         *Consumer
	at        *attachment // what the consumer was when this arrived
	seq       uint64
	stored    int64 // nanoseconds since 1970, the broker's clock
	delivered int
	settled   atomic.Bool

	// Owned by the keep-alive list, under its lock.
	prev, next *Message
	touched    uint64 // the tick at which the server last heard of it
}

// Data is the event as it was published.
func (m *Message) Data() []byte { return m.msg.Data }

// Size is what the message has in bytes, its subjects and headers included.
func (m *Message) Size() int { return m.msg.Size() }

// Header is the first value of a header, in the letter case given; "" when
// there is none.
func (m *Message) Header(key string) string { return m.msg.Header.Get(key) }

// Headers are all headers; nil when there are none. Not to be changed.
func (m *Message) Headers() nats.Header { return m.msg.Header }

// Subject is where the event was published.
func (m *Message) Subject() string { return m.msg.Subject }

// Seq is the event's place in the stream, from 1.
func (m *Message) Seq() uint64 { return m.seq }

// Stored is when the stream took the event, by the broker's clock.
func (m *Message) Stored() time.Time { return time.Unix(0, m.stored) }

// StreamCreated is when the stream was made that Seq counts in. A stream made
// anew counts from 1 again, so only both together name an event.
func (m *Message) StreamCreated() time.Time { return m.origin().created }

// Delivered is how often the event was handed out, this time included.
// Deploys, delayed Naks and holds count too.
func (m *Message) Delivered() int { return m.delivered }

// Settled says whether the message was acknowledged or given back.
func (m *Message) Settled() bool { return m.settled.Load() }

// Ack tells the server that the event is done with. It does not wait (see
// Consumer.Flush) and reports whether this call settled the message: the
// second and later ones change nothing.
func (m *Message) Ack() bool { return m.settle(ackBody) }

// Nak gives the event back, to be delivered again no sooner than after the
// delay. At least a millisecond passes: a Nak without a delay would come back
// to this pod at once. It reports whether this call settled the message.
func (m *Message) Nak(delay time.Duration) bool {
	delay = max(delay, time.Millisecond)
	body := append(make([]byte, 0, 40), `-NAK {"delay":`...)
	body = strconv.AppendInt(body, int64(delay), 10)
	return m.settle(append(body, '}'))
}

var (
	ackBody      = []byte("+ACK")
	progressBody = []byte("+WPI")
)

func (m *Message) settle(body []byte) bool {
	if !m.settled.CompareAndSwap(false, true) {
		return false
	}
	// First out of the list: an in-progress ack after a Nak would put off its
	// redelivery.
	m.c.alive.remove(m)
	if !m.current() {
		return true
	}
	if err := m.c.nc.Publish(m.msg.Reply, body); err != nil {
		m.c.ackFailed(err)
	}
	return true
}

// current says whether the stream this came from still exists. The server
// looks at the sequence of an ack and nothing else, so one for a deleted
// stream would settle another event in the stream that took its name.
func (m *Message) current() bool {
	return m.origin().created.Equal(m.c.at.Load().created)
}

// origin is the attachment whose stream this came from. A delivery does not
// say: a stream may be deleted and made again under a pull, and its events
// arrive before this pod has noticed. Once it has, their age tells.
func (m *Message) origin() *attachment {
	now := m.c.at.Load()
	if now == m.at || now.created.Equal(m.at.created) || m.Stored().Before(now.created) {
		return m.at
	}
	return now
}

var errNoDelivery = errors.New("not a delivery of JetStream")

// parseReply reads the reply subject of a delivery:
//
//	$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<stored>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.… [.<random>]
//
// (nats-server's ADR-15).
func parseReply(reply string) (delivered int, seq uint64, stored int64, err error) {
	rest, ok := strings.CutPrefix(reply, "$JS.ACK.")
	if !ok {
		return 0, 0, 0, errNoDelivery
	}
	skip := 2
	switch dots := strings.Count(rest, "."); {
	case dots == 6:
	case dots >= 8:
		skip = 4
	default:
		return 0, 0, 0, errNoDelivery
	}
	for range skip {
		rest = rest[strings.IndexByte(rest, '.')+1:]
	}
	var numbers [4]uint64 // delivered, stream seq, consumer seq, stored
	for i := range numbers {
		if numbers[i], rest, ok = cutNumber(rest); !ok {
			return 0, 0, 0, errNoDelivery
		}
	}
	return int(numbers[0]), numbers[1], int64(numbers[3]), nil
}

// cutNumber reads digits up to a dot, at half the cost of strings and strconv.
func cutNumber(s string) (n uint64, rest string, ok bool) {
	for i := range len(s) {
		digit := s[i] - '0'
		switch {
		case s[i] == '.':
			return n, s[i+1:], i > 0
		case digit > 9 || n > (math.MaxInt64-9)/10:
			return 0, "", false
		}
		n = n*10 + uint64(digit)
	}
	return 0, "", false
}
