package consumer_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestPullTakesExactlyWhatItAskedFor(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{})
	publish(t, b.JS, consumer.EventsSubject, 15)
	publish(t, b.JS, consumer.ProviderSubject("courier"), 5)
	publish(t, b.JS, consumer.ProviderSubject("clevertap"), 5)

	s := newSeen()
	for _, n := range []int{0, 1, 12, 7} {
		before := s.len()
		if err := c.Pull(t.Context(), n, 0, s.take); err != nil {
			t.Fatal(err)
		}
		if got := s.len() - before; got != n {
			t.Fatalf("Pull of %d took %d", n, got)
		}
	}
	for i, m := range s.all() {
		want := consumer.EventsSubject
		if i >= 15 {
			want = consumer.ProviderSubject("courier")
		}
		if m.Subject() != want || m.Seq() != uint64(i+1) || m.Delivered() != 1 || m.Settled() {
			t.Errorf("message %d: subject %s, seq %d, delivered %d, settled %v", i, m.Subject(), m.Seq(), m.Delivered(), m.Settled())
		}
	}
	if got := consumerInfo(t, b.JS, "courier").NumAckPending; got != 20 {
		t.Errorf("%d pending at the server, want 20", got)
	}
	if c.Held() != 20 {
		t.Errorf("%d held, want 20", c.Held())
	}
}

func TestMessageTellsWhatTheStreamKnows(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "clevertap", consumer.Options{})
	// A body of nothing and a header as the server's own statuses have it.
	sent := &nats.Msg{Subject: consumer.EventsSubject, Header: nats.Header{"Status": {"408"}, "Dlq-Id": {"x"}}}
	if _, err := b.JS.PublishMsg(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	s := newSeen()
	if err := c.Pull(t.Context(), 1, 0, s.take); err != nil {
		t.Fatal(err)
	}
	m := s.all()[0]
	info := streamInfo(t, b.JS, consumer.EventsStream)
	if !m.Stored().Equal(info.State.LastTime) {
		t.Errorf("stored %s, want %s", m.Stored(), info.State.LastTime)
	}
	if !m.StreamCreated().Equal(info.Created) {
		t.Errorf("stream created %s, want %s", m.StreamCreated(), info.Created)
	}
	if m.Header("Dlq-Id") != "x" || m.Header("Status") != "408" || len(m.Headers()) != 2 || len(m.Data()) != 0 {
		t.Errorf("headers %v, body %q", m.Headers(), m.Data())
	}
	if c.MaxAge() != consumer.DefaultMaxAge || c.AckWait() != time.Minute {
		t.Errorf("max age %s, ack wait %s", c.MaxAge(), c.AckWait())
	}
}

// What the server had sent when a pull was given up has reached take, and what
// it had not is free for others at once.
func TestDrainLeavesNothingPendingThatWasNotHandedOut(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	const rounds, pulls, batch = 15, 3, 100
	publishedBefore := 0
	ensure(t, b.JS, "clevertap")
	c := open(t, b.URL(), "clevertap", consumer.Options{})
	for round := range rounds {
		publishMany(t, b.JS, 1000)
		publishedBefore += 1000
		s := newSeen()
		ctx, cancel := context.WithCancel(t.Context())
		cut := int32(round * 37 % 900)
		var taken atomic.Int32
		var wg sync.WaitGroup
		for p := range pulls {
			wg.Go(func() {
				for {
					err := c.Pull(ctx, batch, p, func(m *consumer.Message) {
						if taken.Add(1) == cut {
							cancel()
						}
						s.take(m)
						if m.Seq()%2 == 0 {
							m.Ack()
						}
					})
					if errors.Is(err, context.Canceled) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					if taken.Load() > cut {
						cancel()
					}
				}
			})
		}
		wg.Wait()
		cancel()
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := s.unsettled()
		eventually(t, "pending at the server is what was handed out", func() bool {
			return consumerInfo(t, b.JS, "clevertap").NumAckPending == want
		})
		if c.Held() != want {
			t.Fatalf("%d held, want %d", c.Held(), want)
		}
		// The rest comes at once, each for the first time.
		rest := publishedBefore - round*1000 - s.len()
		others := newSeen()
		if err := c.Pull(t.Context(), rest, 0, others.takeAndAck); err != nil {
			t.Fatal(err)
		}
		for _, m := range others.all() {
			if m.Delivered() != 1 {
				t.Fatalf("round %d: seq %d delivered %d times", round, m.Seq(), m.Delivered())
			}
		}
		for _, m := range s.all() {
			m.Ack()
		}
	}
}

func TestManyPullsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	p := brokertest.StartProcess(t)
	nc, js := brokertest.Connect(t, p.URL())
	c := openOn(t, js, "courier", consumer.Options{})
	const n = 10_000
	publishMany(t, js, n)
	subs := nc.NumSubscriptions()
	for range n {
		if err := c.Pull(t.Context(), 1, 0, func(m *consumer.Message) { m.Ack() }); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel2 := time.AfterFunc(time.Millisecond, cancel)
		if err := c.Pull(ctx, 1, 0, func(*consumer.Message) { t.Error("a message out of nothing") }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel2.Stop()
	}
	if got := nc.NumSubscriptions(); got != subs {
		t.Errorf("%d subscriptions, were %d", got, subs)
	}
	// Other tests drain, too: each for a moment.
	stacks := make([]byte, 1<<20)
	eventually(t, "no drain is running", func() bool {
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "checkDrained")
	})
	if c.Held() != 0 {
		t.Errorf("%d held, want 0", c.Held())
	}
}

func TestPullEndsWithItsConsumer(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{})
	done := make(chan error, 1)
	go func() { done <- c.Pull(context.Background(), 1, 0, func(*consumer.Message) {}) }()
	eventually(t, "the pull waits at the server", func() bool { return consumerInfo(t, b.JS, "courier").NumWaiting == 1 })
	c.Close()
	if err := <-done; !errors.Is(err, consumer.ErrClosed) {
		t.Fatalf("Pull ended with %v, want %v", err, consumer.ErrClosed)
	}
	if err := c.Pull(t.Context(), 1, 0, func(*consumer.Message) {}); !errors.Is(err, consumer.ErrClosed) {
		t.Fatalf("Pull after Close ended with %v, want %v", err, consumer.ErrClosed)
	}
}

func TestPullEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	nc, js := brokertest.Connect(t, b.URL())
	c := openOn(t, js, "courier", consumer.Options{Heartbeat: 50 * time.Millisecond})
	done := make(chan error, 1)
	go func() { done <- c.Pull(t.Context(), 1, 0, func(*consumer.Message) {}) }()
	eventually(t, "the pull waits at the server", func() bool { return consumerInfo(t, b.JS, "courier").NumWaiting == 1 })
	nc.Close()
	if err := <-done; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Fatalf("Pull ended with %v, want %v", err, nats.ErrConnectionClosed)
	}
}

// A trickle goes to the pull with the lowest priority, a backlog to all.
func TestPrioritizedTrickleStaysTogether(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	const senders = 3
	var pods [senders]*consumer.Consumer
	for i := range pods {
		pods[i] = open(t, b.URL(), "clevertap", consumer.Options{})
	}

	// A backlog: all three fill a batch, though nobody gives anything back.
	publishMany(t, b.JS, senders*100)
	var wg sync.WaitGroup
	for i, c := range pods {
		wg.Go(func() {
			if err := c.Pull(t.Context(), 100, i*5, func(m *consumer.Message) { m.Ack() }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	// A trickle: everything goes to the first.
	var got [senders]*seen
	var pulls [senders]*pulling
	for i, c := range pods {
		got[i] = newSeen()
		pulls[i] = pull(c, 100, i*5, got[i].takeAndAck)
	}
	eventually(t, "three pulls wait", func() bool { return consumerInfo(t, b.JS, "clevertap").NumWaiting == senders })
	for i := range 50 {
		publish(t, b.JS, consumer.EventsSubject, 1)
		got[0].wait(t, i+1)
	}
	if got[1].len()+got[2].len() != 0 {
		t.Errorf("trickle of 50 went to %d/%d/%d", got[0].len(), got[1].len(), got[2].len())
	}

	// The first one gone: the second takes over.
	pulls[0].stop(t)
	for i := range 10 {
		publish(t, b.JS, consumer.EventsSubject, 1)
		got[1].wait(t, i+1)
	}
	if got[0].len() != 50 || got[2].len() != 0 {
		t.Errorf("after the first stopped: %d/%d/%d, want 50/10/0", got[0].len(), got[1].len(), got[2].len())
	}
	pulls[1].stop(t)
	pulls[2].stop(t)
}

// A server that says nothing any more is asked again.
func TestMissingHeartbeatIsNotFinal(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS, "clevertap")
	// Requests go by way of this test, which swallows the first two pulls.
	var pulls atomic.Int32
	relay, err := b.Conn.Subscribe("DEAF.>", func(m *nats.Msg) {
		api := strings.TrimPrefix(m.Subject, "DEAF.")
		if strings.HasPrefix(api, "CONSUMER.MSG.NEXT.") && pulls.Add(1) <= 2 {
			return
		}
		if err := b.Conn.PublishRequest("$JS.API."+api, m.Reply, m.Data); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = relay.Unsubscribe() }()
	publish(t, b.JS, consumer.EventsSubject, 1)
	nc, _ := brokertest.Connect(t, b.URL())
	js, err := jetstream.NewWithAPIPrefix(nc, "DEAF")
	if err != nil {
		t.Fatal(err)
	}
	c := openOn(t, js, "clevertap", consumer.Options{Heartbeat: 50 * time.Millisecond})
	s := newSeen()
	if err := c.Pull(t.Context(), 1, 0, s.takeAndAck); err != nil {
		t.Fatal(err)
	}
	if pulls.Load() != 3 {
		t.Errorf("asked %d times, want 3", pulls.Load())
	}
}

// A pull outlives the time that the server gives one request.
func TestPullWaitsOn(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	var asked atomic.Int32
	spy, err := b.Conn.Subscribe("$JS.API.CONSUMER.MSG.NEXT.>", func(*nats.Msg) { asked.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = spy.Unsubscribe() }()
	c := open(t, b.URL(), "courier", consumer.Options{Heartbeat: 20 * time.Millisecond})
	s := newSeen()
	p := pull(c, 10, 0, s.takeAndAck)
	eventually(t, "the server was asked three times", func() bool { return asked.Load() >= 3 })
	publish(t, b.JS, consumer.EventsSubject, 10)
	s.wait(t, 10)
	p.stop(t)
	for _, m := range s.all() {
		if m.Delivered() != 1 {
			t.Errorf("seq %d came %d times", m.Seq(), m.Delivered())
		}
	}
}

// A pause that an operator sets is respected, and lifted for those who waited
// through it.
func TestPausedConsumerIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{Heartbeat: 100 * time.Millisecond})
	if _, err := b.JS.PauseConsumer(t.Context(), consumer.EventsStream, "courier", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	publish(t, b.JS, consumer.EventsSubject, 3)
	s := newSeen()
	p := pull(c, 3, 0, s.takeAndAck)
	eventually(t, "the pull waits", func() bool { return consumerInfo(t, b.JS, "courier").NumWaiting == 1 })
	if s.len() != 0 {
		t.Errorf("%d messages while paused", s.len())
	}
	if _, err := b.JS.ResumeConsumer(t.Context(), consumer.EventsStream, "courier"); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 3)
	p.stop(t)
}
