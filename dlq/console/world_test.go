package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/lettertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 60 * time.Second

// world is where letters are, and a console for them.
type world struct {
	*lettertest.World
	console *console.Console
	log     *lines
}

// newWorld starts a console on any port of loopback; change may alter its
// settings.
func newWorld(t testing.TB, change ...func(*console.Settings)) *world {
	t.Helper()
	w := &world{World: lettertest.New(t), log: &lines{}}
	letters, err := dlq.Open(t.Context(), w.Broker.JS)
	if err != nil {
		t.Fatal(err)
	}
	settings := console.Settings{Addr: "127.0.0.1:0", Idle: time.Hour, JS: w.Broker.JS, Letters: letters,
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
	w.T.Helper()
	w.Set(append([]string{"HOLD_MIN=2s", "HOLD_MAX=5m"}, settings...)...)
	w.Worker()
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
	w.T.Helper()
	stream, err := w.Broker.JS.Stream(w.T.Context(), dlq.Stream)
	if err != nil {
		w.T.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
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
