package e2e_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// patience is how long a condition may take on a busy machine.
const patience = 30 * time.Second

// nobody is an address at which nobody listens: a port that was closed a moment ago
// may be another test's by now.
const nobody = "127.0.0.1:1"

// world is a broker, a fake of each provider, and what a worker would be told.
type world struct {
	t         testing.TB
	broker    *brokertest.Broker
	cleverTap *sandbox.Server
	courier   *sandbox.Server
	env       map[string]string
	last      map[string]uint64 // the place of the newest message, by subject
}

// newWorld has no worker yet. Settings are variables, "NAME=value", that win
// over the world's own: small pauses, so that a test is short.
func newWorld(t testing.TB, settings ...string) *world {
	t.Helper()
	w := &world{t: t, broker: brokertest.New(t), cleverTap: newFake(t, sandbox.Settings{}), courier: newFake(t, sandbox.Settings{}), last: map[string]uint64{}}
	w.env = map[string]string{
		"NATS_URL":               w.broker.URL(),
		"HTTP_ADDR":              "127.0.0.1:0",
		"LOG_LEVEL":              "debug",
		"LOG_FORMAT":             "json",
		"CLEVERTAP_BASE_URL":     w.cleverTap.CleverTapURL(),
		"CLEVERTAP_ACCOUNT_ID":   sandbox.DefaultAccountID,
		"CLEVERTAP_PASSCODE":     sandbox.DefaultPasscode,
		"CLEVERTAP_BATCH_WAIT":   "20ms",
		"COURIER_BASE_URL":       w.courier.CourierURL(),
		"COURIER_API_KEY":        sandbox.DefaultAPIKey,
		"COURIER_MAX_CONCURRENT": "8",
		"HTTP_TIMEOUT":           "5s",
		"PERMIT_LEASE":           "11s",
		"RETRY_MAX_ELAPSED":      "100ms",
		"HOLD_MIN":               "50ms",
		"HOLD_MAX":               "400ms",
		"SHUTDOWN_GRACE":         "20s",
	}
	w.set(settings...)
	return w
}

func newFake(t testing.TB, settings sandbox.Settings) *sandbox.Server {
	t.Helper()
	fake, err := sandbox.Start(settings)
	if err != nil {
		t.Fatalf("start sandbox: %v", err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	return fake
}

// set changes what the next worker is told; "NAME=" takes a variable away.
func (w *world) set(settings ...string) {
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		if value == "" {
			delete(w.env, name)
			continue
		}
		w.env[name] = value
	}
}

func (w *world) environment() []string {
	var list []string
	for name, value := range w.env {
		list = append(list, name+"="+value)
	}
	return list
}

// fake is the sandbox of a provider.
func (w *world) fake(provider string) *sandbox.Server {
	if provider == event.CleverTap {
		return w.cleverTap
	}
	return w.courier
}

// report is what a provider's fake has seen.
func (w *world) report(provider string) sandbox.ProviderReport {
	if provider == event.CleverTap {
		return w.cleverTap.Report().CleverTap
	}
	return w.courier.Report().Courier
}

// fault sets the rules of a provider's fake; none puts it right.
func (w *world) fault(provider string, rules ...sandbox.Rule) {
	w.t.Helper()
	if err := w.fake(provider).SetRules(rules...); err != nil {
		w.t.Fatalf("rules: %v", err)
	}
}

// ensure makes streams, consumers and bucket as a worker would.
func (w *world) ensure() {
	w.t.Helper()
	if _, err := consumer.Ensure(w.t.Context(), w.broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		w.t.Fatalf("ensure: %v", err)
	}
}

// pod is a worker in this process.
type pod struct {
	t      testing.TB
	worker *app.Worker
	log    *book
	once   sync.Once
	err    error
}

// start runs a worker until the test ends, or stop.
func (w *world) start() *pod {
	w.t.Helper()
	p := w.prepare()
	if err := p.worker.Start(w.t.Context()); err != nil {
		w.t.Fatalf("start worker: %v", err)
	}
	return p
}

// prepare makes a worker that is yet to be started, and ends it with the test.
func (w *world) prepare() *pod {
	w.t.Helper()
	var settings struct {
		config.Worker `embed:""`
	}
	var problems bytes.Buffer
	if command, _ := config.Parse("worker", "", &settings, nil, w.environment(), io.Discard, &problems); command == nil {
		w.t.Fatalf("settings: %s", &problems)
	}
	p := &pod{t: w.t, log: &book{}}
	log := slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.worker = app.New(settings.Worker, false, log)
	w.t.Cleanup(func() {
		if err := p.stop(); err != nil {
			w.t.Errorf("worker did not end in order: %v", err)
		}
		if w.t.Failed() {
			w.t.Logf("the log of %s:\n%s", p.worker.Addr(), p.log.tail(60))
		}
	})
	return p
}

// stop ends the worker in order.
func (p *pod) stop() error {
	p.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.err = p.worker.Stop(ctx)
	})
	return p.err
}

func (p *pod) metrics() metrics { return scrape(p.t, p.worker.Addr()) }

// book is a log kept in memory.
type book struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}

func (b *book) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// with lists the lines that contain all of the parts.
func (b *book) with(parts ...string) []string {
	var found []string
	for line := range strings.Lines(b.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	brokertest.Eventually(t, what, ok)
}

// settled waits until each event is settled at the providers; none: at both.
func (w *world) settled(providers ...string) {
	w.t.Helper()
	if len(providers) == 0 {
		providers = event.Providers()
	}
	for _, provider := range providers {
		eventually(w.t, "all events settled at "+provider, func() bool { return w.isSettled(provider) })
	}
}

// isSettled asks the server. A consumer learns of a new message a little after
// its publisher: only one that has handed out the newest counts.
func (w *world) isSettled(provider string) bool {
	w.t.Helper()
	info := w.consumer(provider)
	newest := max(w.last[consumer.EventsSubject], w.last[consumer.ProviderSubject(provider)])
	return info.Delivered.Stream >= newest && info.NumPending == 0 && info.NumAckPending == 0
}

func (w *world) consumer(provider string) *jetstream.ConsumerInfo {
	w.t.Helper()
	c, err := w.broker.JS.Consumer(w.t.Context(), consumer.EventsStream, provider)
	if err != nil {
		w.t.Fatalf("consumer %s: %v", provider, err)
	}
	return c.CachedInfo()
}
