package consumer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// fleet is a few pods that pull and acknowledge all the time.
type fleet struct {
	seen  *seen
	pulls []*pulling
}

func startFleet(t *testing.T, url string, pods int) *fleet {
	t.Helper()
	f := &fleet{seen: newSeen()}
	for i := range pods {
		c := open(t, url, "clevertap", consumer.Options{FloorEvery: 50 * time.Millisecond, Heartbeat: 200 * time.Millisecond})
		f.pulls = append(f.pulls, pull(c, 50, i, f.seen.takeAndAck))
	}
	return f
}

func (f *fleet) stop(t *testing.T) {
	t.Helper()
	for _, p := range f.pulls {
		p.stop(t)
	}
}

// publishDuring publishes while something is done and for some messages more,
// and returns what was confirmed.
func publishDuring(t *testing.T, js jetstream.JetStream, f *fleet, do func()) []string {
	t.Helper()
	stop, done := make(chan struct{}), make(chan []string, 1)
	go func() { done <- publishAcked(js, stop) }()
	f.seen.wait(t, f.seen.len()+200)
	do()
	f.seen.wait(t, f.seen.len()+200)
	close(stop)
	return <-done
}

func wantAll(t *testing.T, f *fleet, confirmed []string) {
	t.Helper()
	for _, payload := range confirmed {
		if !f.seen.holds(payload) {
			eventually(t, payload+" is delivered", func() bool { return f.seen.holds(payload) })
		}
	}
}

func TestConsumerDeletedUnderWay(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	f := startFleet(t, b.URL(), 4)
	var floor uint64
	var before int
	confirmed := publishDuring(t, b.JS, f, func() {
		eventually(t, "a floor is stored", func() bool { _, seq := storedFloor(t, b.JS, "clevertap"); return seq > 0 })
		if err := b.JS.DeleteConsumer(t.Context(), consumer.EventsStream, "clevertap"); err != nil {
			t.Fatal(err)
		}
		// Stored after the deletion or before: the new consumer begins here or later.
		before = f.seen.len()
		eventually(t, "the consumer is there again", func() bool {
			c, err := b.JS.Consumer(t.Context(), consumer.EventsStream, "clevertap")
			if err != nil {
				return false
			}
			floor = c.CachedInfo().Config.OptStartSeq - 1
			return true
		})
	})
	wantAll(t, f, confirmed)
	f.stop(t)
	if floor == 0 {
		t.Error("the consumer began with the first event, want it to begin after its floor")
	}
	first := make(map[uint64]int)
	for i, m := range f.seen.all() {
		at, again := first[m.Seq()]
		if again && m.Seq() <= floor {
			t.Errorf("seq %d came again (at %d and %d), floor was %d", m.Seq(), at, i, floor)
		}
		if !again {
			first[m.Seq()] = i
		}
	}
	if before == 0 || len(first) < len(confirmed) {
		t.Errorf("%d events seen of %d confirmed", len(first), len(confirmed))
	}
	if n := streamInfo(t, b.JS, consumer.EventsStream).State.Consumers; n != 1 {
		t.Errorf("%d consumers, want 1", n)
	}
}

func TestStreamDeletedUnderWay(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	f := startFleet(t, b.URL(), 3)
	publishDuring(t, b.JS, f, func() {
		if err := b.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
			t.Fatal(err)
		}
		eventually(t, "stream and consumer are there again", func() bool {
			_, err := b.JS.Consumer(t.Context(), consumer.EventsStream, "clevertap")
			return err == nil
		})
	})
	created := streamInfo(t, b.JS, consumer.EventsStream).Created
	publish(t, b.JS, consumer.EventsSubject, 1)
	eventually(t, "all of the new stream is acknowledged", func() bool {
		info := consumerInfo(t, b.JS, "clevertap")
		return info.NumPending == 0 && info.NumAckPending == 0
	})
	f.stop(t)
	all := f.seen.all()
	if last := all[len(all)-1]; !last.StreamCreated().Equal(created) {
		t.Errorf("last message says its stream was created at %s, want %s", last.StreamCreated(), created)
	}
	eventually(t, "the floor belongs to the new stream", func() bool {
		of, _ := storedFloor(t, b.JS, "clevertap")
		return of.Equal(created)
	})
}

// What is held of a deleted stream settles nothing in the stream that took its
// name, whose sequences are the same.
func TestAcksForADeletedStreamAreNotSent(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{})
	publish(t, b.JS, consumer.EventsSubject, 6)
	old, fresh := newSeen(), newSeen()
	if err := c.Pull(t.Context(), 6, 0, old.take); err != nil {
		t.Fatal(err)
	}
	if err := b.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	// No pull is open: the deletion alone is noticed.
	eventually(t, "the stream is there again", func() bool {
		_, err := b.JS.Consumer(t.Context(), consumer.EventsStream, "courier")
		return err == nil
	})
	publish(t, b.JS, consumer.EventsSubject, 6)
	if err := c.Pull(t.Context(), 6, 0, fresh.take); err != nil {
		t.Fatal(err)
	}
	created := streamInfo(t, b.JS, consumer.EventsStream).Created
	eventually(t, "the pod has noticed", func() bool { return fresh.all()[0].StreamCreated().Equal(created) })
	for i, m := range old.all() {
		settle := m.Ack
		if i%2 == 0 {
			settle = func() bool { return m.Nak(0) }
		}
		if !settle() || m.StreamCreated().Equal(created) || m.Seq() != fresh.all()[i].Seq() {
			t.Errorf("old message %d: settled before, or of the new stream", m.Seq())
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := consumerInfo(t, b.JS, "courier").NumAckPending; got != 6 {
		t.Errorf("%d pending at the server, want 6", got)
	}
}

func TestBucketDeletedUnderWay(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{FloorEvery: 20 * time.Millisecond})
	publish(t, b.JS, consumer.EventsSubject, 5)
	if err := c.Pull(t.Context(), 5, 0, func(m *consumer.Message) { m.Ack() }); err != nil {
		t.Fatal(err)
	}
	if err := b.JS.DeleteKeyValue(t.Context(), consumer.FleetBucket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bucket is there again", func() bool {
		_, err := b.JS.KeyValue(t.Context(), consumer.FleetBucket)
		return err == nil
	})
	eventually(t, "with the floor", func() bool {
		_, seq := storedFloor(t, b.JS, "courier")
		return seq == 5
	})
}

// With NATS_PROVISION=false the operator makes it again, and the pull waits.
func TestVanishedWithoutProvisionIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS, "courier")
	config := consumerInfo(t, b.JS, "courier").Config
	c, err := consumer.Open(t.Context(), b.JS, "courier", consumer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := newSeen()
	p := pull(c, 5, 0, s.takeAndAck)
	publish(t, b.JS, consumer.EventsSubject, 1)
	s.wait(t, 1)
	if err := b.JS.DeleteConsumer(t.Context(), consumer.EventsStream, "courier"); err != nil {
		t.Fatal(err)
	}
	publish(t, b.JS, consumer.EventsSubject, 3)
	asked, err := b.Conn.SubscribeSync(fmt.Sprintf("$JS.API.CONSUMER.INFO.%s.courier", consumer.EventsStream))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := asked.NextMsg(patience); err != nil {
			t.Fatal("the pod does not look any more")
		}
	}
	if _, err := b.JS.Consumer(t.Context(), consumer.EventsStream, "courier"); err == nil {
		t.Error("the consumer was made again in spite of NATS_PROVISION=false")
	}
	if _, err := b.JS.CreateConsumer(t.Context(), consumer.EventsStream, config); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 5)
	p.stop(t)
}

func TestServerRestartsUnderWay(t *testing.T) {
	t.Parallel()
	t.Run("in order", func(t *testing.T) {
		t.Parallel()
		b := brokertest.New(t)
		// What was on its way when the server went comes again after it.
		shortAckWait(t, b.JS, "clevertap", 2*time.Second)
		f := startFleet(t, b.URL(), 2)
		confirmed := publishDuring(t, b.JS, f, func() {
			if err := b.Restart(); err != nil {
				t.Fatal(err)
			}
		})
		wantAll(t, f, confirmed)
		f.stop(t)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		p := brokertest.StartProcess(t)
		_, js := brokertest.Connect(t, p.URL())
		shortAckWait(t, js, "clevertap", 2*time.Second)
		f := startFleet(t, p.URL(), 2)
		confirmed := publishDuring(t, js, f, func() {
			p.Kill()
			p.Start()
		})
		wantAll(t, f, confirmed)
		f.stop(t)
	})
	t.Run("wiped", func(t *testing.T) {
		t.Parallel()
		p := brokertest.StartProcess(t)
		_, js := brokertest.Connect(t, p.URL())
		f := startFleet(t, p.URL(), 2)
		publishDuring(t, js, f, func() {
			p.Kill()
			p.Wipe()
			p.Start()
		})
		created := streamInfo(t, js, consumer.EventsStream).Created
		f.stop(t)
		all := f.seen.all()
		if last := all[len(all)-1]; !last.StreamCreated().Equal(created) {
			t.Errorf("last message says its stream was created at %s, want %s", last.StreamCreated(), created)
		}
	})
}
