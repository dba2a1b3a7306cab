// Package brokertest gives a test a broker of its own and connections to it,
// closed when the test ends. It owns no goroutine beyond those.
package brokertest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/broker"
)

// Broker is a running server of one test.
type Broker struct {
	*broker.Broker
	Conn *nats.Conn          // the test's own connection; it reconnects for ever
	JS   jetstream.JetStream // over Conn
}

// New starts a server in a folder of the test and connects to it. Writes are
// not synced one by one: use Start for settings of your own.
func New(t testing.TB) *Broker {
	t.Helper()
	return Start(t, broker.Settings{})
}

// Start is New with settings; an empty Dir is a folder of the test.
func Start(t testing.TB, s broker.Settings) *Broker {
	t.Helper()
	if s.Dir == "" {
		// A folder inside, so that Kill may put another in its place.
		s.Dir = filepath.Join(t.TempDir(), "jetstream")
	}
	b, err := broker.Start(s)
	if err != nil {
		t.Fatalf("start broker: %v", err)
	}
	t.Cleanup(b.Stop)
	nc, js := Connect(t, b.URL())
	return &Broker{Broker: b, Conn: nc, JS: js}
}

// Connect opens one more connection, as another pod would. Options given are
// applied after those of the test: reconnecting for ever, every 20 ms.
func Connect(t testing.TB, url string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	options = append([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(20 * time.Millisecond),
		nats.ReconnectJitter(0, 0),
		nats.Timeout(5 * time.Second),
		// The default handler writes to standard error.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connect to broker: %v", err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("open JetStream: %v", err)
	}
	return nc, js
}

// patience is how long a condition may take on a busy machine.
const patience = time.Minute

// Eventually waits for something at the other side of a connection, which
// gives no signal.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}
