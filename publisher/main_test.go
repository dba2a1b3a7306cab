package publisher_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// declare makes the stream of events; change may bend its settings.
func declare(t testing.TB, js jetstream.JetStream, change func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	if _, err := consumer.Ensure(t.Context(), js, consumer.Topology{Provision: true}); err != nil {
		t.Fatalf("declare the streams: %v", err)
	}
	stream, err := js.Stream(t.Context(), consumer.EventsStream)
	if err == nil && change != nil {
		config := stream.CachedInfo().Config
		change(&config)
		stream, err = js.UpdateStream(t.Context(), config)
	}
	if err != nil {
		t.Fatalf("stream of events: %v", err)
	}
	return stream
}

// open makes a Publisher over the test's connection, closed when it ends.
func open(t testing.TB, js jetstream.JetStream, s publisher.Settings) *publisher.Publisher {
	t.Helper()
	p, err := publisher.New(js, s)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// world is a broker with the stream and a Publisher.
func world(t testing.TB) (*brokertest.Broker, jetstream.Stream, *publisher.Publisher) {
	t.Helper()
	b := brokertest.New(t)
	stream := declare(t, b.JS, nil)
	return b, stream, open(t, b.JS, publisher.Settings{})
}

func sample(n int) event.Event {
	return event.Event{
		ID:       fmt.Sprintf("login-%d", n),
		ObjectID: fmt.Sprintf("object-%d", n),
		UserID:   fmt.Sprintf("user-%d", n),
		Token:    fmt.Sprintf("token-%d", n),
		Type:     "fcm",
	}
}

// bounded gives a test's broker work a limit that no healthy run meets.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func messages(t testing.TB, stream jetstream.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(bounded(t))
	if err != nil {
		t.Fatalf("stream info: %v", err)
	}
	return info.State.Msgs
}
