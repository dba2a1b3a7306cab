package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// patience is how long a condition may take on a busy machine.
const patience = 30 * time.Second

var provisioned = consumer.Topology{Provision: true}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	brokertest.Eventually(t, what, ok)
}

// open opens a consumer over a connection of its own, as another pod would.
func open(t testing.TB, url, provider string, o consumer.Options) *consumer.Consumer {
	t.Helper()
	_, js := brokertest.Connect(t, url)
	return openOn(t, js, provider, o)
}

func openOn(t testing.TB, js jetstream.JetStream, provider string, o consumer.Options) *consumer.Consumer {
	t.Helper()
	if !o.Topology.Provision {
		o.Topology = provisioned
	}
	c, err := consumer.Open(t.Context(), js, provider, o)
	if err != nil {
		t.Fatalf("open consumer: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func ensure(t testing.TB, js jetstream.JetStream, providers ...string) {
	t.Helper()
	topology := provisioned
	topology.Providers = providers
	if _, err := consumer.Ensure(t.Context(), js, topology); err != nil {
		t.Fatalf("ensure: %v", err)
	}
}

// shortAckWait makes a provider's consumer with an ack wait of its own.
func shortAckWait(t testing.TB, js jetstream.JetStream, provider string, wait time.Duration) {
	t.Helper()
	ensure(t, js, provider)
	config := consumerInfo(t, js, provider).Config
	config.AckWait = wait
	if _, err := js.UpdateConsumer(t.Context(), consumer.EventsStream, config); err != nil {
		t.Fatalf("shorten ack wait: %v", err)
	}
}

func consumerInfo(t testing.TB, js jetstream.JetStream, provider string) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := js.Consumer(t.Context(), consumer.EventsStream, provider)
	if err != nil {
		t.Fatalf("consumer info: %v", err)
	}
	return c.CachedInfo()
}

func publish(t testing.TB, js jetstream.JetStream, subject string, n int) {
	t.Helper()
	for i := range n {
		if _, err := js.Publish(t.Context(), subject, fmt.Appendf(nil, "event %d", i)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
}

// publishMany stores n events of about 320 bytes.
func publishMany(t testing.TB, js jetstream.JetStream, n int) {
	t.Helper()
	const atOnce = 1000
	for i := range n {
		if _, err := js.PublishAsync(consumer.EventsSubject, fmt.Appendf(nil, "%0320d", i), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatalf("publish: %v", err)
		}
		if i%atOnce != atOnce-1 && i != n-1 {
			continue
		}
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(patience):
			t.Fatalf("events not stored within %s", patience)
		}
	}
}

// publishAcked publishes until stop is closed, again and again what was not
// confirmed, and returns the payloads that were.
func publishAcked(js jetstream.JetStream, stop <-chan struct{}) (confirmed []string) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return confirmed
		default:
		}
		payload := fmt.Sprintf("event %d", i)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		if _, err := js.Publish(ctx, consumer.EventsSubject, []byte(payload)); err == nil {
			confirmed = append(confirmed, payload)
		}
		cancel()
	}
}

// seen gathers messages from any number of pulls.
type seen struct {
	mu       sync.Mutex
	messages []*consumer.Message
	counts   map[string]int // by payload
	changed  chan struct{}  // closed and replaced at every message
}

func newSeen() *seen { return &seen{counts: make(map[string]int), changed: make(chan struct{})} }

func (s *seen) take(m *consumer.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	s.counts[string(m.Data())]++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *seen) takeAndAck(m *consumer.Message) {
	s.take(m)
	m.Ack()
}

func (s *seen) all() []*consumer.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

func (s *seen) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}

func (s *seen) unsettled() (n int) {
	for _, m := range s.all() {
		if !m.Settled() {
			n++
		}
	}
	return n
}

func (s *seen) holds(payload string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[payload] > 0
}

// wait returns when at least n messages were taken.
func (s *seen) wait(t testing.TB, n int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		have, changed := len(s.messages), s.changed
		s.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d messages within %s, want %d", have, patience, n)
		}
	}
}

// pulling runs pull after pull until it is stopped.
type pulling struct {
	cancel context.CancelFunc
	done   chan error
}

func pull(c *consumer.Consumer, n, priority int, take func(*consumer.Message)) *pulling {
	return again(func(ctx context.Context) error { return c.Pull(ctx, n, priority, take) })
}

func again(pull func(context.Context) error) *pulling {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pulling{cancel, make(chan error, 1)}
	go func() {
		for {
			if err := pull(ctx); err != nil {
				p.done <- err
				return
			}
		}
	}()
	return p
}

func (p *pulling) stop(t testing.TB) {
	t.Helper()
	p.cancel()
	select {
	case err := <-p.done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Pull ended with %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Fatalf("Pull did not end within %s", patience)
	}
}

// wire watches what is told to the server about messages.
type wire struct {
	sub *nats.Subscription

	mu     sync.Mutex
	bodies map[string][]string // by sequence
}

func watch(t testing.TB, nc *nats.Conn, provider string) *wire {
	t.Helper()
	w := &wire{bodies: make(map[string][]string)}
	sub, err := nc.Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		tokens := strings.Split(m.Subject, ".")
		at := slices.Index(tokens, provider)
		w.mu.Lock()
		defer w.mu.Unlock()
		seq := tokens[at+2]
		w.bodies[seq] = append(w.bodies[seq], string(m.Data))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	w.sub = sub
	return w
}

func (w *wire) of(seq uint64) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bodies[fmt.Sprint(seq)])
}

func count(bodies []string, body string) (n int) {
	for _, b := range bodies {
		if b == body {
			n++
		}
	}
	return n
}

// storedFloor reads a provider's floor as another program would.
func storedFloor(t testing.TB, js jetstream.JetStream, provider string) (created time.Time, seq uint64) {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), consumer.FleetBucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), consumer.FloorKey(provider))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return time.Time{}, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		StreamCreated time.Time `json:"stream_created"`
		Seq           uint64    `json:"seq"`
	}
	if err := json.Unmarshal(entry.Value(), &f); err != nil {
		t.Fatal(err)
	}
	return f.StreamCreated, f.Seq
}

func putFloor(t testing.TB, js jetstream.JetStream, provider string, created time.Time, seq uint64) {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), consumer.FleetBucket)
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"stream_created": created, "seq": seq})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), consumer.FloorKey(provider), value); err != nil {
		t.Fatal(err)
	}
}

func streamInfo(t testing.TB, js jetstream.JetStream, name string) *jetstream.StreamInfo {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}
