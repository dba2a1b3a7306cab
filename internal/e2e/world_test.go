package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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
	if err := p.worker.Start(w.t.Context()); err != nil {
		w.t.Fatalf("start worker: %v", err)
	}
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

// metrics are the samples of a scrape, by name and labels as they are written.
type metrics map[string]float64

func scrape(t testing.TB, addr string) metrics {
	t.Helper()
	return parseMetrics(t, fetch(t, "http://"+addr+"/metrics"))
}

func fetch(t testing.TB, url string) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return string(body)
}

func parseMetrics(t testing.TB, text string) metrics {
	t.Helper()
	m := metrics{}
	for line := range strings.Lines(text) {
		series, value, found := cutLast(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "#") || !found {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		m[strings.TrimPrefix(series, "tokenrelay_")] = number
	}
	return m
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// of is the sample of a series of one provider, such as events_total with
// outcome="dead". A series that is not there fails the test.
func (m metrics) of(t testing.TB, name, provider string, labels ...string) float64 {
	t.Helper()
	for series, value := range m {
		rest, ok := strings.CutPrefix(series, name+"{")
		if !ok {
			continue
		}
		has := strings.Contains(rest, `provider="`+provider+`"`)
		for _, label := range labels {
			has = has && strings.Contains(rest, label)
		}
		if has {
			return value
		}
	}
	t.Fatalf("no series %s of %s with %q", name, provider, labels)
	return 0
}

// names are the series' names and labels.
func (m metrics) names() map[string]bool {
	names := map[string]bool{}
	for series := range maps.Keys(m) {
		names[series] = true
	}
	return names
}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
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

// put publishes with a plain client and waits for the stream's word.
func (w *world) put(bodies ...string) {
	w.t.Helper()
	w.putTo(consumer.EventsSubject, bodies...)
}

func (w *world) putTo(subject string, bodies ...string) {
	w.t.Helper()
	var acks []jetstream.PubAckFuture
	for _, body := range bodies {
		ack, err := w.broker.JS.PublishAsync(subject, []byte(body))
		if err != nil {
			w.t.Fatalf("publish: %v", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case stored := <-ack.Ok():
			w.last[subject] = max(w.last[subject], stored.Sequence)
		case err := <-ack.Err():
			w.t.Fatalf("publish: %v", err)
		}
	}
}

// putMsg publishes one message with headers and returns its place.
func (w *world) putMsg(subject, body string, header nats.Header) uint64 {
	w.t.Helper()
	message := nats.NewMsg(subject)
	message.Data = []byte(body)
	if header != nil {
		message.Header = header
	}
	ack, err := w.broker.JS.PublishMsg(w.t.Context(), message)
	if err != nil {
		w.t.Fatalf("publish: %v", err)
	}
	w.last[subject] = max(w.last[subject], ack.Sequence)
	return ack.Sequence
}

// registration is an event for both providers; its token is token(i).
func registration(i int) string {
	return registrationOf(token(i))
}

func registrationOf(token string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm"}`, token)
}

func token(i int) string { return fmt.Sprintf("token-%05d", i) }

// registrations are the events from first on.
func registrations(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = registration(first + i)
	}
	return list
}

// accepted counts how often a provider took each token.
func (w *world) accepted(provider string) map[string]int {
	counts := map[string]int{}
	for _, record := range w.fake(provider).Accepted(provider) {
		counts[record.Token]++
	}
	return counts
}

// delivered checks that a provider took exactly these tokens, once each.
func (w *world) delivered(provider string, tokens ...string) {
	w.t.Helper()
	counts := w.accepted(provider)
	for _, token := range tokens {
		if counts[token] != 1 {
			w.t.Errorf("%s took %q %d times, want once", provider, token, counts[token])
		}
		delete(counts, token)
	}
	for token := range counts {
		w.t.Errorf("%s took %q, which it should not have", provider, token)
	}
}

// reached checks that a provider took each of these tokens, more than once
// where a call was cut off.
func (w *world) reached(provider string, tokens ...string) {
	w.t.Helper()
	counts := w.accepted(provider)
	missing := 0
	for _, token := range tokens {
		if counts[token] == 0 {
			missing++
		}
	}
	if missing > 0 {
		w.t.Errorf("%s never took %d of %d tokens", provider, missing, len(tokens))
	}
}

func tokens(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = token(first + i)
	}
	return list
}
