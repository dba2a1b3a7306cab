package flow_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

const (
	patience = 30 * time.Second
	round    = 50 * time.Millisecond
)

// watch runs a watch with a connection of its own until the test ends.
func watch(t *testing.T, url string) *flow.Watch {
	t.Helper()
	_, js := brokertest.Connect(t, url)
	w := flow.NewWatch(flow.Settings{JS: js, Every: round})
	run(t, w)
	return w
}

func run(t *testing.T, w *flow.Watch) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	})
}

// start runs a server with settings that a broker of the project has not.
func start(t *testing.T, options server.Options) *server.Server {
	t.Helper()
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", -1, true, true
	broker, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the broker does not start")
	}
	return broker
}

// await returns the first snapshot that is as wanted.
func await(t *testing.T, w *flow.Watch, what string, wanted func(flow.Snapshot) bool) flow.Snapshot {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		changed := w.Changed()
		s := w.Now()
		if wanted(s) {
			return s
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("never: %s; the last: %+v", what, s)
		}
	}
}

// of is a provider's part of a snapshot.
func of(t *testing.T, s flow.Snapshot, provider string) flow.Provider {
	t.Helper()
	for i, name := range event.Providers() {
		if s.Providers[i].Name != name {
			t.Fatalf("provider %d is %s, want %s", i, s.Providers[i].Name, name)
		}
		if name == provider {
			return s.Providers[i]
		}
	}
	t.Fatalf("no %s", provider)
	return flow.Provider{}
}

// ensure makes streams, consumers and bucket as a worker would.
func ensure(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := consumer.Ensure(t.Context(), js, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
}

// announcement is of a pod that serves CleverTap.
func announcement(pod string, age time.Duration, delivered, dead int, ended bool) []byte {
	return fmt.Appendf(nil, `{"pod":%q,"age_ms":%d,"ended":%t,"providers":{"clevertap":{"delivered":%d,"dead":%d,"open_calls":2,"permits":2,"permit_cap":3}}}`,
		pod, age.Milliseconds(), ended, delivered, dead)
}

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
