package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 60 * time.Second

// world is a broker with the declared streams, both providers' doubles, and
// what a command would be told.
type world struct {
	t      testing.TB
	broker *brokertest.Broker
	fake   *sandbox.Server
	env    map[string]string
	letter uint64 // letters put by hand
}

func newWorld(t testing.TB, settings ...string) *world {
	t.Helper()
	fake, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	w := &world{t: t, broker: brokertest.New(t), fake: fake}
	w.env = map[string]string{
		"NATS_URL": w.broker.URL(), "HTTP_ADDR": "127.0.0.1:0", "LOG_LEVEL": "error",
		"CLEVERTAP_BASE_URL": fake.CleverTapURL(), "CLEVERTAP_ACCOUNT_ID": sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE": sandbox.DefaultPasscode,
		"COURIER_BASE_URL": fake.CourierURL(), "COURIER_API_KEY": sandbox.DefaultAPIKey,
		"CLEVERTAP_BATCH_WAIT": "20ms", "COURIER_MAX_CONCURRENT": "8", "HTTP_TIMEOUT": "5s", "PERMIT_LEASE": "11s",
		"RETRY_MAX_ELAPSED": "100ms", "HOLD_MIN": "50ms", "HOLD_MAX": "400ms", "SHUTDOWN_GRACE": "20s",
	}
	w.set(settings...)
	if _, err := consumer.Ensure(t.Context(), w.broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	return w
}

// set changes what commands and workers are told; "NAME=" takes a variable away.
func (w *world) set(settings ...string) {
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		if w.env[name] = value; value == "" {
			delete(w.env, name)
		}
	}
}

func (w *world) environment() []string {
	var list []string
	for name, value := range w.env {
		list = append(list, name+"="+value)
	}
	return list
}

// worker runs a worker until the test ends, or the returned function is called.
func (w *world) worker() (*app.Worker, func()) {
	w.t.Helper()
	var settings struct {
		config.Worker `embed:""`
	}
	var problems bytes.Buffer
	if command, _ := config.Parse("worker", "", &settings, nil, w.environment(), io.Discard, &problems); command == nil {
		w.t.Fatalf("settings: %s", &problems)
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
			w.t.Errorf("worker did not end in order: %v", err)
		}
	}
	w.t.Cleanup(stop)
	if err := worker.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return worker, stop
}

// ended is a command that has run to its end.
type ended struct {
	code        int
	out, errors string
}

// dlq runs the command; input is its standard input.
func (w *world) dlq(input string, args ...string) ended {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.dlqWithin(ctx, input, args...)
}

func (w *world) dlqWithin(ctx context.Context, input string, args ...string) ended {
	w.t.Helper()
	var out, problems bytes.Buffer
	code := run(ctx, args, w.environment(), strings.NewReader(input), &out, &problems)
	return ended{code, out.String(), problems.String()}
}

// want checks an exit code and words of the output.
func (e ended) want(t testing.TB, code int, words ...string) {
	t.Helper()
	if e.code != code {
		t.Errorf("exit %d, want %d\n%s%s", e.code, code, e.out, e.errors)
	}
	for _, word := range words {
		if !strings.Contains(e.out+e.errors, word) {
			t.Errorf("no %q in\n%s%s", word, e.out, e.errors)
		}
	}
}

// lacks checks that words are not in the output.
func (e ended) lacks(t testing.TB, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(e.out+e.errors, word) {
			t.Errorf("%q in\n%s%s", word, e.out, e.errors)
		}
	}
}

// put publishes events for all providers and waits for the stream's word. It
// returns the place of the last.
func (w *world) put(bodies ...string) uint64 {
	w.t.Helper()
	var acks []jetstream.PubAckFuture
	for _, body := range bodies {
		ack, err := w.broker.JS.PublishAsync(consumer.EventsSubject, []byte(body), jetstream.WithStallWait(time.Minute))
		if err != nil {
			w.t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	last := uint64(0)
	for _, ack := range acks {
		select {
		case stored := <-ack.Ok():
			last = max(last, stored.Sequence)
		case err := <-ack.Err():
			w.t.Fatal(err)
		}
	}
	return last
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

// letters reads the dead-letter stream, oldest first.
func (w *world) letters() []*dlq.Stored {
	w.t.Helper()
	r, err := dlq.Open(w.t.Context(), w.broker.JS)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []*dlq.Stored
	for l, err := range r.Letters(w.t.Context(), dlq.Filter{}, 0, dlq.Whole) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// stored counts the messages of a subject of the events' stream.
func (w *world) stored(subject string) int {
	w.t.Helper()
	stream, err := w.broker.JS.Stream(w.t.Context(), consumer.EventsStream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0
	for _, n := range info.State.Subjects {
		sum += int(n)
	}
	return sum
}

// settled waits until every event up to a place is settled at a provider.
func (w *world) settled(provider string, last uint64) {
	w.t.Helper()
	eventually(w.t, "all settled at "+provider, func() bool {
		c, err := w.broker.JS.Consumer(w.t.Context(), consumer.EventsStream, provider)
		if err != nil {
			w.t.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Stream >= last
	})
}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	brokertest.Eventually(t, what, ok)
}

// registration is an event whose token, user and object have a name in common.
func registration(name string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm"}`, name)
}

// only is registration for one provider.
func only(provider, name string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm","destinations":["%[2]s"]}`, name, provider)
}
