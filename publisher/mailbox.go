package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// mailbox sends messages and hands each the broker's answer to it, all through
// one inbox. (The client has its own asynchronous publisher; a stopped one can
// leave a goroutine behind, and an abandoned answer keeps its place in it.)
type mailbox struct {
	nc       *nats.Conn
	sub      *nats.Subscription
	prefix   string // of the inboxes, one a sending
	statuses chan nats.Status
	watch    sync.WaitGroup

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan reply // by the inbox's last part; each holds one
}

// reply is the broker's answer to one sending, or why none will come.
type reply struct {
	ack puback
	err error
}

// puback is the broker's answer as it comes (jetstream.PubAck lacks the error).
type puback struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

func openMailbox(nc *nats.Conn) (*mailbox, error) {
	b := &mailbox{nc: nc, prefix: nc.NewInbox() + ".", waiting: map[string]chan reply{}}
	var err error
	if b.sub, err = nc.Subscribe(b.prefix+"*", b.receive); err != nil {
		return nil, err
	}
	b.statuses = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	b.watch.Go(func() {
		for range b.statuses {
			b.lose() // answers do not find a new connection
		}
	})
	return b, nil
}

func (b *mailbox) close() {
	_ = b.sub.Unsubscribe() // fails only with the connection, which ends it too
	b.nc.RemoveStatusListener(b.statuses)
	b.watch.Wait()
}

// sending is a message that was handed to the connection.
type sending struct {
	subject string
	key     string // of its inbox
	answer  <-chan reply
	err     error // it was not
	former  error // what the connection was last told of before
}

// post hands m to the connection. The error is one from classify.
func (b *mailbox) post(m *nats.Msg) sending {
	switch {
	case b.nc.IsClosed():
		return sending{err: fmt.Errorf("%w: %w", ErrNotConnected, nats.ErrConnectionClosed)}
	case !b.nc.IsConnected():
		return sending{err: ErrNotConnected} // or the client would buffer it, once each time we try
	}
	former := b.nc.LastError()
	key, answer := b.expect()
	err := b.nc.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: b.prefix + key, Header: m.Header, Data: m.Data})
	if err != nil {
		b.forget(key)
		return sending{err: classify(err)}
	}
	return sending{subject: m.Subject, key: key, answer: answer, former: former}
}

// await waits for the answer until ctx is done or wait is over. The error is
// the sending's own, the broker's word, or errNoAnswer.
func (b *mailbox) await(ctx context.Context, s sending, wait time.Duration) (puback, error) {
	if s.err != nil {
		return puback{}, s.err
	}
	defer b.forget(s.key)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r := <-s.answer:
		return r.ack, r.err
	case <-timer.C:
		if err := b.refused(s); err != nil {
			return puback{}, err
		}
		return puback{}, fmt.Errorf("%w within %s", errNoAnswer, wait)
	case <-ctx.Done():
		return puback{}, errNoAnswer
	}
}

// refused is why no answer came, when the server does not let our user send
// the message or hear the answer. It tells the connection, not the sender.
func (b *mailbox) refused(s sending) error {
	told := b.nc.LastError()
	if !errors.Is(told, nats.ErrPermissionViolation) {
		return nil
	}
	switch text := told.Error(); {
	case !errors.Is(told, s.former) && strings.Contains(text, `Publish to "`+s.subject+`"`):
		return fmt.Errorf("%w: to publish to %s", ErrNotAllowed, s.subject)
	case strings.Contains(text, `Subscription to "`+b.prefix):
		return fmt.Errorf("%w: to subscribe to its inbox, %s>", ErrNotAllowed, b.prefix[:strings.Index(b.prefix, ".")+1])
	}
	return nil
}

func (b *mailbox) expect() (string, <-chan reply) {
	answer := make(chan reply, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	key := strconv.FormatUint(b.next, 36)
	b.waiting[key] = answer
	return key, answer
}

func (b *mailbox) forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, key)
}

// lose tells everybody who waits that the connection is gone.
func (b *mailbox) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, answer := range b.waiting {
		answer <- reply{err: fmt.Errorf("%w: the connection was lost", errNoAnswer)}
		delete(b.waiting, key)
	}
}

// receive runs in the subscription's goroutine, one answer at a time.
func (b *mailbox) receive(m *nats.Msg) {
	key := m.Subject[len(b.prefix):]
	b.mu.Lock()
	answer := b.waiting[key]
	delete(b.waiting, key)
	b.mu.Unlock()
	if answer != nil { // else it came too late
		answer <- readReply(m)
	}
}

func readReply(m *nats.Msg) reply {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return reply{err: ErrNoStream}
	}
	var ack puback
	if err := json.Unmarshal(bytes.TrimSpace(m.Data), &ack); err != nil || ack.Error == nil && ack.Stream == "" {
		// Whoever listens on the subject beside the stream may have answered
		// first: this says nothing about the event.
		return reply{err: fmt.Errorf("%w: what came was none", errNoAnswer)}
	}
	if ack.Error != nil {
		return reply{err: &Refusal{Code: ack.Error.Code, Description: ack.Error.Description, kind: refusals[ack.Error.Code]}}
	}
	return reply{ack: ack}
}
