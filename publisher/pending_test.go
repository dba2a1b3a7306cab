package publisher_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// deafWorld has a listener that takes events and never answers, so that they
// stay under way.
func deafWorld(t *testing.T, s publisher.Settings) *publisher.Publisher {
	t.Helper()
	b := brokertest.New(t)
	if _, err := b.Conn.SubscribeSync("tokens.registered"); err != nil {
		t.Fatal(err)
	}
	p, err := publisher.New(b.JS, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	p := deafWorld(t, publisher.Settings{MaxPending: 2})
	var under [2]*publisher.Pending
	for i := range under {
		var err error
		if under[i], err = p.PublishAsync(bounded(t), sample(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.PublishAsync(ctx, sample(3)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third of two: %v", err)
	}
	if _, err := p.Publish(ctx, sample(3)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third of two, waiting: %v", err)
	}
	if _, err := under[0].Wait(expired()); !errors.Is(err, publisher.ErrUnconfirmed) || under[0].ID() != "login-0" {
		t.Errorf("a wait that is over: %v", err)
	}
	if err := p.Flush(expired()); !errors.Is(err, context.Canceled) {
		t.Errorf("a flush that is over: %v", err)
	}

	blocked := make(chan error, 1)
	go func() {
		_, err := p.PublishAsync(context.Background(), sample(4))
		blocked <- err
	}()
	if err := p.Close(expired()); !errors.Is(err, context.Canceled) {
		t.Errorf("a close that may not wait: %v", err)
	}
	if err := <-blocked; !errors.Is(err, publisher.ErrClosed) {
		t.Errorf("who waits for a place when it closes: %v", err)
	}
	for _, pending := range under {
		<-pending.Done()
		if _, err := pending.Wait(bounded(t)); !errors.Is(err, publisher.ErrUnconfirmed) || !errors.Is(err, publisher.ErrClosed) {
			t.Errorf("under way when it closes: %v", err)
		}
	}
	if _, err := p.Publish(bounded(t), sample(5)); !errors.Is(err, publisher.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := p.Close(bounded(t)); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestFlushWaitsForAll(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	var all []*publisher.Pending
	for i := range 1000 {
		pending, err := p.PublishAsync(bounded(t), sample(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pending)
	}
	if err := p.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for _, pending := range all {
		select {
		case <-pending.Done():
		default:
			t.Fatalf("%s is under way after the flush", pending.ID())
		}
	}
	if n := messages(t, stream); n != 1000 {
		t.Errorf("%d messages", n)
	}
}

// A broker that goes away and comes back in mid-stream: every event is
// confirmed in the end and stored once.
func TestBrokerRestartsUnderWay(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	stream := declare(t, b.JS, nil)
	p := open(t, b.JS, publisher.Settings{MaxPending: 64, AckWait: time.Second, GiveUp: time.Minute})
	const events = 20_000
	all := make([]*publisher.Pending, events)
	restarted := make(chan error, 1)
	for i := range all {
		if i == events/4 {
			go func() { restarted <- b.Restart() }()
		}
		var err error
		if all[i], err = p.PublishAsync(bounded(t), sample(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	for _, pending := range all {
		if _, err := pending.Wait(bounded(t)); err != nil {
			t.Fatalf("%s: %v", pending.ID(), err)
		}
	}
	if n := messages(t, stream); n != events {
		t.Errorf("%d messages stored of %d events", n, events)
	}
}

// brittle dials connections of which the first fails to write on demand.
type brittle struct {
	broken atomic.Bool
	dialed atomic.Int32
}

func (d *brittle) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	if d.dialed.Add(1) == 1 {
		return &brittleConn{conn, &d.broken}, err
	}
	return conn, err
}

type brittleConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c *brittleConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		_ = c.Close()
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// A large message is written at once, so that its publish itself fails.
func TestConnectionBreaksInAWrite(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	stream := declare(t, b.JS, nil)
	dialer := &brittle{}
	_, js := brokertest.Connect(t, b.URL(), nats.SetCustomDialer(dialer))
	p := open(t, js, publisher.Settings{})
	dialer.broken.Store(true)
	if ack, err := p.PublishRaw(bounded(t), "", make([]byte, 60_000)); err != nil || ack.Seq != 1 {
		t.Errorf("%+v, %v", ack, err)
	}
	if n := messages(t, stream); n != 1 || dialer.dialed.Load() < 2 {
		t.Errorf("%d messages over %d connections", n, dialer.dialed.Load())
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	for _, s := range []publisher.Settings{{MaxPending: -1}, {AckWait: -1}, {GiveUp: -1}} {
		if _, err := publisher.New(b.JS, s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
	if _, err := publisher.New(nil, publisher.Settings{}); err == nil {
		t.Error("no JetStream was taken")
	}
}
