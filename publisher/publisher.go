// Package publisher puts token-registration events into the stream, for apps
// written in Go: every event is checked before it is sent, confirmed by the
// broker, deduplicated by its id, and only a bounded number is under way.
//
// It knows the subjects, the headers and the broker's answers. It refuses to
// know providers' rules (event does), streams' settings and what becomes of an
// event after it is stored, but for the outcomes that workers report back.
//
// A Publisher owns one goroutine for each event that is not confirmed yet, at
// most Settings.MaxPending, and two for the answers; all end with Close. The connection
// stays the caller's.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
)

// Subject is where events go that are for every provider.
const Subject = "tokens.registered"

// ProviderSubject is where events go that are for one provider only.
func ProviderSubject(provider string) string { return Subject + "." + provider }

// Settings of a Publisher; a zero field means its default.
type Settings struct {
	// MaxPending is how many events may be sent and not yet confirmed
	// (default 256). Whoever publishes more waits.
	MaxPending int
	// AckWait is how long one sending waits for the broker's answer before
	// the event is sent again with the same id (default 2s).
	AckWait time.Duration
	// GiveUp is how long an event may stay unconfirmed, all sendings
	// together, before its Pending ends with ErrUnconfirmed (default 30s).
	// The context of Publish may end it sooner.
	GiveUp time.Duration
}

func (s *Settings) complete() error {
	if s.MaxPending < 0 || s.AckWait < 0 || s.GiveUp < 0 {
		return errors.New("publisher: MaxPending, AckWait and GiveUp must not be negative")
	}
	if s.MaxPending == 0 {
		s.MaxPending = 256
	}
	if s.AckWait == 0 {
		s.AckWait = 2 * time.Second
	}
	if s.GiveUp == 0 {
		s.GiveUp = 30 * time.Second
	}
	return nil
}

// Publisher publishes events. All methods are safe for concurrent use.
type Publisher struct {
	mailbox  *mailbox
	settings Settings
	places   chan struct{} // holds one element for each event under way

	closing chan struct{} // closed by Close: nobody waits for a place any more
	ctx     context.Context
	stop    context.CancelCauseFunc // ends the confirmations that outlive Close

	mu     sync.Mutex
	open   map[*Pending]struct{} // events under way
	closed bool
	tasks  sync.WaitGroup // one for each of open
}

// New makes a Publisher that sends over the connection of js.
func New(js jetstream.JetStream, s Settings) (*Publisher, error) {
	if js == nil {
		return nil, errors.New("publisher: no JetStream context given")
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	mailbox, err := openMailbox(js.Conn())
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	p := &Publisher{
		mailbox:  mailbox,
		settings: s,
		places:   make(chan struct{}, s.MaxPending),
		closing:  make(chan struct{}),
		open:     make(map[*Pending]struct{}),
	}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	return p, nil
}

// Publish checks ev, sends it and waits for the broker's word. ctx bounds all
// of it, new sendings included. The Ack's ID is set whenever ev was valid,
// also beside an error: publish again with that id and nothing is stored
// twice. Errors: *event.Violation, the Err… values of this package, *Refusal.
func (p *Publisher) Publish(ctx context.Context, ev event.Event, opts ...Option) (Ack, error) {
	m, err := eventMessage(ev, opts)
	if err != nil {
		return Ack{}, err
	}
	return p.publish(ctx, m)
}

// PublishAsync checks ev, sends it and returns before the broker's word. It
// blocks while Settings.MaxPending events are under way. ctx bounds only this
// wait, so it may be a request's: what is under way goes on without it, for
// Settings.GiveUp at most.
func (p *Publisher) PublishAsync(ctx context.Context, ev event.Event, opts ...Option) (*Pending, error) {
	m, err := eventMessage(ev, opts)
	if err != nil {
		return nil, err
	}
	return p.start(ctx, context.Background(), m)
}

// PublishRaw is Publish for a body that is an encoded event already; it is
// sent byte for byte and unchecked. An empty id is made up, for the message
// only.
func (p *Publisher) PublishRaw(ctx context.Context, id string, body []byte, opts ...Option) (Ack, error) {
	m, err := rawMessage(id, body, opts)
	if err != nil {
		return Ack{}, err
	}
	return p.publish(ctx, m)
}

// PublishRawAsync is PublishAsync for a body that is an encoded event already.
// The body must not be changed until the Pending is done.
func (p *Publisher) PublishRawAsync(ctx context.Context, id string, body []byte, opts ...Option) (*Pending, error) {
	m, err := rawMessage(id, body, opts)
	if err != nil {
		return nil, err
	}
	return p.start(ctx, context.Background(), m)
}

// Flush waits until every event published so far is confirmed or failed; what
// became of each is in its Pending. The error is about ctx only.
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	open := make([]*Pending, 0, len(p.open))
	for pending := range p.open {
		open = append(open, pending)
	}
	p.mu.Unlock()
	for i, pending := range open {
		select {
		case <-pending.Done():
		case <-ctx.Done():
			return fmt.Errorf("publisher: up to %d events not confirmed yet: %w", len(open)-i, context.Cause(ctx))
		}
	}
	return nil
}

// Close takes no more events and waits for those under way until ctx is done;
// what is unconfirmed then ends with ErrUnconfirmed and ErrClosed. A second
// Close does nothing.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.closing)
	p.mu.Unlock()

	err := p.Flush(ctx)
	p.stop(ErrClosed)
	p.tasks.Wait()
	p.mailbox.close()
	return err
}

func (p *Publisher) publish(ctx context.Context, m *nats.Msg) (Ack, error) {
	pending, err := p.start(ctx, ctx, m)
	if err != nil {
		return Ack{ID: m.Header.Get(jetstream.MsgIDHeader)}, err
	}
	<-pending.Done() // its task is bounded by ctx
	return pending.ack, pending.err
}

// start waits for a place until enter is done and leaves the rest to a task of
// its own, which gives up when life is done.
func (p *Publisher) start(enter, life context.Context, m *nats.Msg) (*Pending, error) {
	pending := &Pending{
		ack:  Ack{ID: m.Header.Get(jetstream.MsgIDHeader)},
		done: make(chan struct{}),
	}
	if err := enter.Err(); err != nil {
		return nil, fmt.Errorf("publisher: not sent: %w", context.Cause(enter))
	}
	select {
	case p.places <- struct{}{}:
	case <-enter.Done():
		return nil, fmt.Errorf("publisher: not sent, %d events are unconfirmed: %w", p.settings.MaxPending, context.Cause(enter))
	case <-p.closing:
		return nil, ErrClosed
	}
	if !p.enter(pending) {
		<-p.places
		return nil, ErrClosed
	}
	first := p.mailbox.post(m) // here, so that one caller's first sendings keep their order
	go func() {
		defer p.tasks.Done()
		ctx, cancel := context.WithTimeoutCause(life, p.settings.GiveUp, errGaveUp)
		defer cancel()
		defer context.AfterFunc(p.ctx, cancel)()
		ack, err := p.confirm(ctx, m, first)
		p.settle(pending, ack, err)
	}()
	return pending, nil
}

// enter counts one more under way, unless Close came first.
func (p *Publisher) enter(pending *Pending) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.open[pending] = struct{}{}
		p.tasks.Add(1)
	}
	return !p.closed
}

func (p *Publisher) settle(pending *Pending, ack puback, err error) {
	pending.ack.Stream, pending.ack.Seq, pending.ack.Duplicate = ack.Stream, ack.Seq, ack.Duplicate
	pending.err = err
	p.mu.Lock()
	delete(p.open, pending)
	p.mu.Unlock()
	<-p.places
	close(pending.done)
}
