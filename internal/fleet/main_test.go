package fleet

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "TOKENS_FLEET"

// pod is one member of a test's fleet, with a connection of its own.
type pod struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	board   *Board
	permits *Permits
	holds   *Holds
}

// world is a broker with an empty bucket.
type world struct {
	t     *testing.T
	b     *brokertest.Broker
	url   string
	js    jetstream.JetStream
	lease time.Duration
}

func newWorld(t *testing.T, lease time.Duration) *world {
	t.Helper()
	b := brokertest.New(t)
	w := &world{t: t, b: b, url: b.URL(), js: b.JS, lease: lease}
	w.make(t.Context())
	return w
}

func (w *world) make(ctx context.Context) {
	w.t.Helper()
	if _, err := w.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, History: 1}); err != nil {
		w.t.Fatal(err)
	}
}

// join adds a pod; it leaves, without giving anything back, at the test's end
// or when leave is called.
func (w *world) join(name string, limit int) (p *pod, leave func()) {
	w.t.Helper()
	nc, js := brokertest.Connect(w.t, w.url)
	log := slog.New(slog.DiscardHandler)
	remake := func(ctx context.Context) error {
		_, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, History: 1})
		return err
	}
	board := NewBoard(BoardSettings{JS: js, Bucket: bucket, Log: log, Look: 50 * time.Millisecond, Remake: remake})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); board.Run(ctx) }()
	leave = func() { cancel(); <-ended }
	w.t.Cleanup(leave)
	<-board.Loaded()
	return &pod{nc: nc, js: js, board: board,
		permits: NewPermits(PermitSettings{Board: board, Provider: "clevertap", Cap: limit, Self: name,
			Lease: w.lease, Renewal: w.lease / 6, Call: w.lease / 3, Log: log}),
		holds: NewHolds(board, name, Schedule{Min: 50 * time.Millisecond, Max: time.Second}, w.lease, log),
	}, leave
}

func (p *pod) take(t *testing.T) *Permit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	permit, err := p.permits.Take(ctx)
	if err != nil {
		t.Fatalf("no permit: %v", err)
	}
	t.Cleanup(func() { permit.stop() })
	return permit
}

// stop ends the renewing as the death of the pod would: nothing is freed.
func (p *Permit) stop() {
	select {
	case <-p.end:
	default:
		close(p.end)
	}
	<-p.ended
}

// eventually waits for something that gives no signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	brokertest.Eventually(t, what, ok)
}
