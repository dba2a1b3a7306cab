// Package lettertest is a world for tests that begin with letters: a broker
// with the declared streams, both providers' doubles, and workers on demand.
// It is for tests only, and ends with them.
package lettertest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// patience is how long a worker may take to end on a busy machine.
const patience = time.Minute

// World is where a test's letters are. Its methods fail the test.
type World struct {
	T      testing.TB
	Broker *brokertest.Broker
	Fake   *sandbox.Server

	env  map[string]string
	died uint64 // letters put by hand
}

// New has the streams and no worker. Settings are variables, "NAME=value",
// that win over the world's own: small pauses, so that a test is short.
func New(t testing.TB, settings ...string) *World {
	t.Helper()
	fake, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	w := &World{T: t, Broker: brokertest.New(t), Fake: fake}
	w.env = map[string]string{
		"NATS_URL": w.Broker.URL(), "HTTP_ADDR": "127.0.0.1:0", "LOG_LEVEL": "error",
		"CLEVERTAP_BASE_URL": fake.CleverTapURL(), "CLEVERTAP_ACCOUNT_ID": sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE": sandbox.DefaultPasscode,
		"COURIER_BASE_URL": fake.CourierURL(), "COURIER_API_KEY": sandbox.DefaultAPIKey,
		"CLEVERTAP_BATCH_WAIT": "20ms", "COURIER_MAX_CONCURRENT": "8", "HTTP_TIMEOUT": "5s", "PERMIT_LEASE": "11s",
		"RETRY_MAX_ELAPSED": "100ms", "HOLD_MIN": "50ms", "HOLD_MAX": "400ms", "SHUTDOWN_GRACE": "20s",
	}
	w.Set(settings...)
	if _, err := consumer.Ensure(t.Context(), w.Broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	return w
}

// Set changes what commands and workers are told; "NAME=" takes a variable away.
func (w *World) Set(settings ...string) {
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		if w.env[name] = value; value == "" {
			delete(w.env, name)
		}
	}
}

// Environment is what commands and workers are told, as os.Environ has it.
func (w *World) Environment() []string {
	var list []string
	for name, value := range w.env {
		list = append(list, name+"="+value)
	}
	return list
}

// Worker runs a worker until the test ends, or the returned function is called.
func (w *World) Worker() (*app.Worker, func()) {
	w.T.Helper()
	var settings struct {
		config.Worker `embed:""`
	}
	var problems bytes.Buffer
	if command, _ := config.Parse("worker", "", &settings, nil, w.Environment(), io.Discard, &problems); command == nil {
		w.T.Fatalf("settings: %s", &problems)
	}
	worker := app.New(settings.Worker, false, slog.New(slog.DiscardHandler))
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := worker.Stop(ctx); err != nil {
			w.T.Errorf("worker did not end in order: %v", err)
		}
	}
	w.T.Cleanup(stop)
	if err := worker.Start(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	return worker, stop
}

// Put publishes events for all providers and waits for the stream's word. It
// returns the place of the last.
func (w *World) Put(bodies ...string) uint64 {
	w.T.Helper()
	var acks []jetstream.PubAckFuture
	for _, body := range bodies {
		ack, err := w.Broker.JS.PublishAsync(consumer.EventsSubject, []byte(body), jetstream.WithStallWait(time.Minute))
		if err != nil {
			w.T.Fatal(err)
		}
		acks = append(acks, ack)
	}
	last := uint64(0)
	for _, ack := range acks {
		select {
		case stored := <-ack.Ok():
			last = max(last, stored.Sequence)
		case err := <-ack.Err():
			w.T.Fatal(err)
		}
	}
	return last
}

// Die puts letters as a worker would whose provider refused them.
func (w *World) Die(letters ...dlq.Letter) {
	w.T.Helper()
	stream, err := w.Broker.JS.Stream(w.T.Context(), consumer.EventsStream)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, l := range letters {
		w.died++
		l.StreamCreated, l.OriginStream = stream.CachedInfo().Created, consumer.EventsStream
		if l.OriginSeq == 0 { // a place that no replay will ever have
			l.OriginSeq = 1_000_000 + w.died
		}
		if l.FailedAt.IsZero() {
			l.FailedAt = time.Now()
		}
		if err := dlq.NewWriter(w.Broker.JS, nil).Put(w.T.Context(), &l); err != nil {
			w.T.Fatal(err)
		}
	}
}
