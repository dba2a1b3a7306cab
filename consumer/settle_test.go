package consumer_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

const (
	acked    = "+ACK"
	progress = "+WPI"
)

func TestMessageSettlesOnce(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{})
	w := watch(t, b.Conn, "courier")
	const n = 50
	publish(t, b.JS, consumer.EventsSubject, n)
	s := newSeen()
	if err := c.Pull(t.Context(), n, 0, s.take); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.all() {
		var first atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				settle := m.Ack
				if i%2 == 1 {
					settle = func() bool { return m.Nak(time.Hour) }
				}
				if settle() {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		if first.Load() != 1 || !m.Settled() {
			t.Fatalf("seq %d settled %d times", m.Seq(), first.Load())
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last settlement is seen", func() bool { return len(w.of(n)) > 0 })
	for _, m := range s.all() {
		if got := w.of(m.Seq()); len(got) != 1 {
			t.Errorf("seq %d: the server was told %q", m.Seq(), got)
		}
	}
	if c.Held() != 0 {
		t.Errorf("%d held, want 0", c.Held())
	}
}

func TestNakComesBackAfterItsDelay(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	var again atomic.Int32
	c := open(t, b.URL(), "courier", consumer.Options{Redelivered: func() { again.Add(1) }})
	w := watch(t, b.Conn, "courier")
	publish(t, b.JS, consumer.EventsSubject, 1)
	s := newSeen()
	p := pull(c, 1, 0, func(m *consumer.Message) {
		s.take(m)
		switch m.Delivered() {
		case 1:
			m.Nak(0) // never at once
		case 2:
			m.Nak(30 * time.Millisecond)
		default:
			m.Ack()
		}
	})
	s.wait(t, 3)
	p.stop(t)
	for i, m := range s.all() {
		if m.Delivered() != i+1 {
			t.Errorf("delivery %d says it is number %d", i+1, m.Delivered())
		}
	}
	if again.Load() != 2 {
		t.Errorf("%d redeliveries told, want 2", again.Load())
	}
	want := []string{`-NAK {"delay":1000000}`, `-NAK {"delay":30000000}`, acked}
	eventually(t, "the ack is seen", func() bool { return len(w.of(1)) == 3 })
	if got := w.of(1); !slices.Equal(got, want) {
		t.Errorf("the server was told %q, want %q", got, want)
	}
}

// What is held longer than the ack wait is not handed out again.
func TestHeldMessagesAreKeptAlive(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	shortAckWait(t, b.JS, "clevertap", 2*time.Second)
	w := watch(t, b.Conn, "clevertap")
	c := open(t, b.URL(), "clevertap", consumer.Options{})
	const n = 200 // more than one burst
	publish(t, b.JS, consumer.EventsSubject, n)
	s := newSeen()
	if err := c.Pull(t.Context(), n, 0, s.take); err != nil {
		t.Fatal(err)
	}
	// Another pod waits for what comes free.
	other := newSeen()
	p := pull(open(t, b.URL(), "clevertap", consumer.Options{}), 10, 9, other.takeAndAck)
	waitTouched(t, w, s, 6)
	if info := consumerInfo(t, b.JS, "clevertap"); info.NumAckPending != n || info.NumRedelivered != 0 {
		t.Errorf("%d pending and %d redelivered, want %d and 0", info.NumAckPending, info.NumRedelivered, n)
	}
	// A settled one is left alone, the others are not.
	settled := s.all()[0]
	settled.Nak(time.Hour)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitTouched(t, w, &seen{messages: s.all()[1:]}, 9)
	if got := w.of(settled.Seq()); count(got, progress) > 0 && got[len(got)-1] == progress {
		t.Errorf("in progress after it was given back: %q", got)
	}
	for _, m := range s.all() {
		m.Ack()
	}
	p.stop(t)
	if other.len() != 0 {
		t.Errorf("%d handed out again", other.len())
	}
}

// What arrives while take blocks is kept alive, too.
func TestMessagesBehindABlockedTakeAreKeptAlive(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	shortAckWait(t, b.JS, "courier", 2*time.Second)
	w := watch(t, b.Conn, "courier")
	c := open(t, b.URL(), "courier", consumer.Options{Heartbeat: 100 * time.Millisecond})
	const n = 20
	publish(t, b.JS, consumer.EventsSubject, n)
	s, release := newSeen(), make(chan struct{})
	p := pull(c, n, 0, func(m *consumer.Message) {
		<-release
		s.takeAndAck(m)
	})
	eventually(t, "all are kept alive over the ack wait", func() bool {
		for seq := range uint64(n) {
			if count(w.of(seq+1), progress) < 6 {
				return false
			}
		}
		return true
	})
	close(release)
	s.wait(t, n)
	p.stop(t)
	for i, m := range s.all() {
		if m.Seq() != uint64(i+1) || m.Delivered() != 1 {
			t.Errorf("message %d: seq %d, delivered %d times", i, m.Seq(), m.Delivered())
		}
	}
}

// The server counts on while it can not hear the pod.
func TestHeldMessagesOutliveARestart(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	shortAckWait(t, b.JS, "courier", 5*time.Second)
	c := open(t, b.URL(), "courier", consumer.Options{})
	publish(t, b.JS, consumer.EventsSubject, 10)
	s := newSeen()
	if err := c.Pull(t.Context(), 10, 0, s.take); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	nc, js := brokertest.Connect(t, b.URL())
	w := watch(t, nc, "courier")
	waitTouched(t, w, s, 6)
	for _, m := range s.all() {
		m.Ack()
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is pending", func() bool {
		info := consumerInfo(t, js, "courier")
		return info.NumAckPending == 0 && info.NumPending == 0 && info.NumRedelivered == 0
	})
}

func TestFailedSettlementIsTold(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	nc, js := brokertest.Connect(t, b.URL())
	var failed atomic.Int32
	c := openOn(t, js, "courier", consumer.Options{AckFailed: func(err error) {
		if errors.Is(err, nats.ErrConnectionClosed) {
			failed.Add(1)
		}
	}})
	publish(t, b.JS, consumer.EventsSubject, 1)
	s := newSeen()
	if err := c.Pull(t.Context(), 1, 0, s.take); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if !s.all()[0].Ack() {
		t.Error("first Ack says it was not the first")
	}
	if failed.Load() != 1 {
		t.Errorf("%d failures told, want 1", failed.Load())
	}
}

// waitTouched waits until the server heard of each message so many times.
func waitTouched(t *testing.T, w *wire, s *seen, times int) {
	t.Helper()
	eventually(t, "every message is in progress again and again", func() bool {
		for _, m := range s.all() {
			if count(w.of(m.Seq()), progress) < times {
				return false
			}
		}
		return true
	})
}
