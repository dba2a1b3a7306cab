package dlq_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestMain(m *testing.M) {
	brokertest.ServeIfAsked()
	goleak.VerifyTestMain(m)
}

// noon is when the letters of a test begin to die, a minute apart.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// world is a broker with the declared streams.
type world struct {
	t  testing.TB
	js jetstream.JetStream
	n  uint64 // letters put
}

func newWorld(t testing.TB) *world {
	t.Helper()
	b := brokertest.New(t)
	return declared(t, b.JS)
}

func declared(t testing.TB, js jetstream.JetStream) *world {
	t.Helper()
	if _, err := consumer.Ensure(context.Background(), js, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, js: js}
}

// letter is one to put, with what the test does not care about filled in.
func (w *world) letter(l dlq.Letter) *dlq.Letter {
	w.n++
	if l.Provider == "" {
		l.Provider = "courier"
	}
	if l.Code == "" {
		l.Code = "http_400"
	}
	if l.FailedAt.IsZero() {
		l.FailedAt = noon().Add(time.Duration(w.n) * time.Minute)
	}
	if l.Body == nil {
		l.Body = body(int(w.n))
	}
	l.OriginStream, l.StreamCreated = "TOKENS", noon()
	if l.OriginSeq == 0 {
		l.OriginSeq = w.n
	}
	return &l
}

func (w *world) put(letters ...dlq.Letter) {
	w.t.Helper()
	writer := dlq.NewWriter(w.js, nil)
	for _, l := range letters {
		if err := writer.Put(context.Background(), w.letter(l)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// replayed is a header as dlq replay sets it.
func replayed(id string, generation int) nats.Header {
	return nats.Header{dlq.HeaderID: {id}, dlq.HeaderGeneration: {fmt.Sprint(generation)}}
}

func body(n int) []byte {
	return fmt.Appendf(nil, `{"token":"token-%d","user_id":"user-%d","object_id":"object-%d","type":"fcm"}`, n, n, n)
}

func (w *world) reader() *dlq.Reader {
	w.t.Helper()
	r, err := dlq.Open(context.Background(), w.js)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// places are where the letters of a filter stand, oldest first.
func (w *world) places(f dlq.Filter) []uint64 {
	w.t.Helper()
	var list []uint64
	for l, err := range w.reader().Letters(context.Background(), f, dlq.End, dlq.Headers) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, l.Seq)
	}
	return list
}
