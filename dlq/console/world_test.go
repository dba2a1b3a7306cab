package console_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 60 * time.Second

// world is a broker with the declared streams, both providers' doubles and a
// console; a worker, where a test wants one.
type world struct {
	t       testing.TB
	broker  *brokertest.Broker
	fake    *sandbox.Server
	console *console.Console
	log     *lines
	letter  uint64 // letters put by hand
}

// newWorld starts a console on any port of loopback; change may alter its
// settings.
func newWorld(t testing.TB, change ...func(*console.Settings)) *world {
	t.Helper()
	fake, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	w := &world{t: t, broker: brokertest.New(t), fake: fake, log: &lines{}}
	if _, err := consumer.Ensure(t.Context(), w.broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	letters, err := dlq.Open(t.Context(), w.broker.JS)
	if err != nil {
		t.Fatal(err)
	}
	settings := console.Settings{Addr: "127.0.0.1:0", Idle: time.Hour, JS: w.broker.JS, Letters: letters,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, c := range change {
		c(&settings)
	}
	if w.console, err = console.New(settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.console.Stop(ctx); err != nil {
			t.Errorf("the console did not end in order: %v", err)
		}
	})
	if err := w.console.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// url is an address of the console.
func (w *world) url(path string) string { return strings.TrimSuffix(w.console.URL(), "/") + path }

// worker runs a worker until the test ends.
func (w *world) worker(settings ...string) {
	w.t.Helper()
	env := append([]string{
		"NATS_URL=" + w.broker.URL(), "HTTP_ADDR=127.0.0.1:0",
		"CLEVERTAP_BASE_URL=" + w.fake.CleverTapURL(), "CLEVERTAP_ACCOUNT_ID=" + sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE=" + sandbox.DefaultPasscode,
		"COURIER_BASE_URL=" + w.fake.CourierURL(), "COURIER_API_KEY=" + sandbox.DefaultAPIKey,
		"CLEVERTAP_BATCH_WAIT=20ms", "COURIER_MAX_CONCURRENT=8", "HTTP_TIMEOUT=5s", "PERMIT_LEASE=11s", "RETRY_MAX_ELAPSED=100ms",
	}, settings...)
	var read struct {
		config.Worker `embed:""`
	}
	var problems bytes.Buffer
	if command, _ := config.Parse("worker", "", &read, nil, env, io.Discard, &problems); command == nil {
		w.t.Fatalf("settings: %s", &problems)
	}
	worker := app.New(read.Worker, false, slog.New(slog.DiscardHandler))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := worker.Stop(ctx); err != nil {
			w.t.Errorf("worker did not end in order: %v", err)
		}
	})
	if err := worker.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// die puts letters as a worker would whose provider refused them.
func (w *world) die(letters ...dlq.Letter) {
	w.t.Helper()
	stream, err := w.broker.JS.Stream(w.t.Context(), consumer.EventsStream)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range letters {
		w.letter++
		l.StreamCreated, l.OriginStream = stream.CachedInfo().Created, consumer.EventsStream
		if l.OriginSeq == 0 { // a place that no replay will ever have
			l.OriginSeq = 1_000_000 + w.letter
		}
		if l.FailedAt.IsZero() {
			l.FailedAt = time.Now()
		}
		if err := dlq.NewWriter(w.broker.JS, nil).Put(w.t.Context(), &l); err != nil {
			w.t.Fatal(err)
		}
	}
}

// dead makes letters of one group; the names are in tokens and ids.
func dead(provider, code, reason string, names ...string) []dlq.Letter {
	var list []dlq.Letter
	for _, name := range names {
		list = append(list, dlq.Letter{Provider: provider, Code: code, Reason: reason, Body: []byte(registration(name))})
	}
	return list
}

// registration is an event whose token, user and object have a name in common.
func registration(name string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"token-%[1]s","type":"fcm"}`, name)
}

// names are so many names with a prefix.
func names(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("%s%04d", prefix, i))
	}
	return list
}

// letters is how many letters there are.
func (w *world) letters() int {
	w.t.Helper()
	stream, err := w.broker.JS.Stream(w.t.Context(), dlq.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

// publish stores an event for all providers.
func (w *world) publish(body string) {
	w.t.Helper()
	if _, err := w.broker.JS.Publish(w.t.Context(), consumer.EventsSubject, []byte(body), jetstream.WithRetryAttempts(5)); err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// lines keep a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
