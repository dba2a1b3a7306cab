package consumer_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// publishSized stores events of so many bytes.
func publishSized(t testing.TB, js jetstream.JetStream, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		if _, err := js.Publish(t.Context(), consumer.EventsSubject, bytes.Repeat([]byte("x"), size)); err != nil {
			t.Fatalf("publish %d bytes: %v", size, err)
		}
	}
}

// lockedText is a log that several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func repeated(size, n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// A pull that is over its bytes ends in peace, and brings all it may.
func TestPullUpToKeepsToItsBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sizes       []int
		n, bytes    int
		least, most int // messages
	}{
		"small ones":                      {repeated(300, 120), 100, 1 << 20, 100, 100},
		"large ones":                      {repeated(50_000, 30), 20, 1 << 20, 19, 20},
		"the bytes are used up":           {repeated(50_000, 30), 30, 500_000, 9, 9},
		"as many as asked for":            {repeated(50_000, 30), 3, 1 << 20, 3, 3},
		"the largest there may be":        {repeated(64<<10, 5), 5, consumer.Largest, 1, 1},
		"fewer bytes than the largest":    {repeated(64<<10, 5), 5, 1, 1, 1},
		"a large one among small ones":    {append(repeated(300, 100), 60_000), 101, consumer.Largest, 1, 100},
		"a small one after what fits not": {[]int{60_000, 60_000, 1}, 3, 100_000, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			var log lockedText
			cons := open(t, b.URL(), "clevertap", consumer.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			publishSized(t, b.JS, c.sizes...)
			s := newSeen()
			if err := cons.PullUpTo(t.Context(), c.n, c.bytes, 0, s.take); err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, m := range s.all() {
				size += m.Size()
			}
			if got := s.len(); got < c.least || got > c.most || size > max(c.bytes, consumer.Largest) {
				t.Errorf("%d messages of %d bytes, want %d to %d of at most %d", got, size, c.least, c.most, c.bytes)
			}
			// The rest is there for the next pull, at once and in order.
			rest := len(c.sizes) - s.len()
			for seen := s.len(); seen < len(c.sizes); seen = s.len() {
				if err := cons.PullUpTo(t.Context(), len(c.sizes)-seen, c.bytes, 0, s.take); err != nil {
					t.Fatal(err)
				}
				if s.len() == seen {
					t.Fatalf("a pull brought nothing, with %d messages left", len(c.sizes)-seen)
				}
			}
			for i, m := range s.all() {
				if m.Seq() != uint64(i+1) || m.Delivered() != 1 {
					t.Fatalf("message %d of %d: seq %d, delivered %d times", i, rest, m.Seq(), m.Delivered())
				}
			}
			if text := log.String(); strings.Contains(text, "looking at the consumer") {
				t.Errorf("the consumer was doubted:\n%s", text)
			}
		})
	}
}

// The trap: a limit below the next message ends every pull at once, for ever.
// Somebody may have allowed the stream larger ones than we do.
func TestPullUpToTakesWhatNeverFits(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS, "clevertap")
	config := streamInfo(t, b.JS, consumer.EventsStream).Config
	config.MaxMsgSize = 256 << 10
	if _, err := b.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	cons := open(t, b.URL(), "clevertap", consumer.Options{})
	publishSized(t, b.JS, 300, 200_000, 300)
	s := newSeen()
	for _, pull := range []struct{ n, want int }{{3, 1}, {2, 2}, {1, 3}} {
		if err := cons.PullUpTo(t.Context(), pull.n, consumer.Largest, 0, s.takeAndAck); err != nil {
			t.Fatal(err)
		}
		if s.len() != pull.want {
			t.Fatalf("%d messages, want %d", s.len(), pull.want)
		}
	}
}

// Headers count as the body does.
func TestSizeIsTheServers(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	cons := open(t, b.URL(), "clevertap", consumer.Options{})
	m := nats.NewMsg(consumer.EventsSubject)
	m.Data, m.Header = bytes.Repeat([]byte("x"), 1000), nats.Header{"Dlq-History": {strings.Repeat("y", 60_000)}}
	if _, err := b.JS.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s := newSeen()
	if err := cons.PullUpTo(t.Context(), 1, consumer.Largest, 0, s.take); err != nil {
		t.Fatal(err)
	}
	if got := s.all()[0].Size(); got < 61_000 || got > 62_000 {
		t.Errorf("a size of %d bytes, want about 61 kB", got)
	}
}
