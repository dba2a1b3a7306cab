package consumer_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestFloorOnlyRises(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	created := func() time.Time { return streamInfo(t, b.JS, consumer.EventsStream).Created }
	often := consumer.Options{FloorEvery: 10 * time.Millisecond}
	pods := []*consumer.Consumer{open(t, b.URL(), "courier", often), open(t, b.URL(), "courier", often)}
	kv, err := b.JS.KeyValue(t.Context(), consumer.FleetBucket)
	if err != nil {
		t.Fatal(err)
	}
	updates, err := kv.Watch(t.Context(), consumer.FloorKey("courier"), jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = updates.Stop() }()
	publish(t, b.JS, consumer.EventsSubject, 300)
	s := newSeen()
	for i := range 30 {
		if err := pods[i%2].Pull(t.Context(), 10, 0, s.take); err != nil {
			t.Fatal(err)
		}
		// The one of each ten that is left keeps the floor where it is.
		for _, m := range s.all()[i*10+1 : i*10+10] {
			m.Ack()
		}
	}
	for i := range 30 {
		s.all()[i*10].Ack()
		eventually(t, "the floor has risen", func() bool {
			of, seq := storedFloor(t, b.JS, "courier")
			return of.Equal(created()) && seq == uint64(i+1)*10
		})
	}
	last := uint64(0)
	for range 30 {
		entry := <-updates.Updates()
		if entry.Revision() <= last {
			t.Errorf("revision %d after %d", entry.Revision(), last)
		}
		last = entry.Revision()
	}

	// A floor ahead of what this pod knows stays.
	putFloor(t, b.JS, "courier", created(), 1000)
	asked, err := b.Conn.SubscribeSync("$JS.API.CONSUMER.INFO.TOKENS.courier")
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if _, err := asked.NextMsg(patience); err != nil {
			t.Fatal(err)
		}
	}
	if _, seq := storedFloor(t, b.JS, "courier"); seq != 1000 {
		t.Errorf("floor is %d, want 1000", seq)
	}

	// One that nobody can read, or of another stream, is replaced.
	for _, put := range []func(){
		func() {
			if _, err := kv.Put(t.Context(), consumer.FloorKey("courier"), []byte("what?")); err != nil {
				t.Fatal(err)
			}
		},
		func() { putFloor(t, b.JS, "courier", created().Add(-time.Hour), 1000) },
	} {
		put()
		eventually(t, "the floor is right again", func() bool {
			entry, err := kv.Get(t.Context(), consumer.FloorKey("courier"))
			if err != nil || string(entry.Value()) == "what?" {
				return false
			}
			of, seq := storedFloor(t, b.JS, "courier")
			return of.Equal(created()) && seq == 300
		})
	}
}

func TestFloorIsStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{FloorEvery: time.Hour})
	publish(t, b.JS, consumer.EventsSubject, 10)
	if err := c.Pull(t.Context(), 10, 0, func(m *consumer.Message) { m.Ack() }); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the acks are counted", func() bool { return consumerInfo(t, b.JS, "courier").AckFloor.Stream == 10 })
	c.Close()
	if _, seq := storedFloor(t, b.JS, "courier"); seq != 10 {
		t.Errorf("floor is %d, want 10", seq)
	}
}

func TestConsumerBeginsAtItsFloor(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		put  func(*testing.T, jetstream.JetStream, time.Time)
		want uint64 // sequence of the first message, of 20 stored before and one after
	}{
		"no floor": {func(*testing.T, jetstream.JetStream, time.Time) {}, 1},
		"floor":    {func(t *testing.T, js jetstream.JetStream, of time.Time) { putFloor(t, js, "clevertap", of, 12) }, 13},
		"floor 0":  {func(t *testing.T, js jetstream.JetStream, of time.Time) { putFloor(t, js, "clevertap", of, 0) }, 1},
		"floor of another provider": {
			func(t *testing.T, js jetstream.JetStream, of time.Time) { putFloor(t, js, "courier", of, 12) }, 1,
		},
		"floor of an older stream": {
			func(t *testing.T, js jetstream.JetStream, of time.Time) {
				putFloor(t, js, "clevertap", of.Add(-time.Nanosecond), 12)
			}, 1,
		},
		"floor at the end":     {func(t *testing.T, js jetstream.JetStream, of time.Time) { putFloor(t, js, "clevertap", of, 20) }, 21},
		"floor beyond the end": {func(t *testing.T, js jetstream.JetStream, of time.Time) { putFloor(t, js, "clevertap", of, 500) }, 21},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			ensure(t, b.JS)
			publish(t, b.JS, consumer.EventsSubject, 20)
			c.put(t, b.JS, streamInfo(t, b.JS, consumer.EventsStream).Created)
			pod := open(t, b.URL(), "clevertap", consumer.Options{})
			publish(t, b.JS, consumer.EventsSubject, 1)
			s := newSeen()
			if err := pod.Pull(t.Context(), 1, 0, s.take); err != nil {
				t.Fatal(err)
			}
			if got := s.all()[0].Seq(); got != c.want {
				t.Errorf("begins at %d, want %d", got, c.want)
			}
			// Such a consumer is no drift.
			topology := provisioned
			topology.Providers = []string{"clevertap"}
			found, err := consumer.Drift(t.Context(), b.JS, topology)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Severity != consumer.Note {
					t.Errorf("drift: %s", f)
				}
			}
		})
	}
}

func TestPendingKnowsTheOldest(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	c := open(t, b.URL(), "courier", consumer.Options{})
	want := func(pending int, oldest uint64) {
		t.Helper()
		var at time.Time
		if oldest > 0 {
			s, err := b.JS.Stream(t.Context(), consumer.EventsStream)
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.GetMsg(t.Context(), oldest)
			if err != nil {
				t.Fatal(err)
			}
			at = m.Time
		}
		var got consumer.Backlog
		eventually(t, "the figures are right", func() bool {
			var err error
			if got, err = c.Pending(t.Context()); err != nil {
				t.Fatal(err)
			}
			return got.Pending == pending && got.Oldest.Equal(at)
		})
	}
	want(0, 0)
	publish(t, b.JS, consumer.ProviderSubject("clevertap"), 1) // not ours
	want(0, 0)
	publish(t, b.JS, consumer.ProviderSubject("courier"), 1)
	publish(t, b.JS, consumer.EventsSubject, 2)
	publish(t, b.JS, consumer.ProviderSubject("courier"), 1)
	want(4, 2)
	s := newSeen()
	if err := c.Pull(t.Context(), 4, 0, s.take); err != nil {
		t.Fatal(err)
	}
	want(4, 2)
	s.all()[1].Ack()
	want(3, 2)
	s.all()[0].Ack()
	want(2, 4)
	s.all()[2].Ack()
	want(1, 5)
	s.all()[3].Ack()
	want(0, 0)
}
