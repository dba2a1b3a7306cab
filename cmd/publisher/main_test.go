package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// asProgram makes the test's own binary be the program, for tests that kill it.
const asProgram = "TEST_RUN_AS_PUBLISHER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// world is a broker with the stream of events, and a folder.
type world struct {
	*brokertest.Broker
	stream jetstream.Stream
	dir    string
	env    []string
}

func newWorld(t testing.TB, change ...func(*jetstream.StreamConfig)) *world {
	t.Helper()
	b := brokertest.New(t)
	return newWorldOn(t, b, []string{"NATS_URL=" + b.URL()}, change...)
}

func newWorldOn(t testing.TB, b *brokertest.Broker, env []string, change ...func(*jetstream.StreamConfig)) *world {
	t.Helper()
	if _, err := consumer.Ensure(t.Context(), b.JS, consumer.Topology{Provision: true}); err != nil {
		t.Fatalf("declare the streams: %v", err)
	}
	stream, err := b.JS.Stream(t.Context(), consumer.EventsStream)
	if err == nil && len(change) > 0 {
		config := stream.CachedInfo().Config
		for _, c := range change {
			c(&config)
		}
		stream, err = b.JS.UpdateStream(t.Context(), config)
	}
	if err != nil {
		t.Fatalf("stream of events: %v", err)
	}
	return &world{Broker: b, stream: stream, dir: t.TempDir(), env: env}
}

// ran is what a run of the program left.
type ran struct {
	code           int
	stdout, stderr string
}

func (w *world) run(ctx context.Context, stdin string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, w.env, strings.NewReader(stdin), &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(t testing.TB, name, content string) string {
	t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return w.path(name)
}

func (w *world) read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// stored lists what the stream holds.
func (w *world) stored(t testing.TB) []jetstream.Msg {
	t.Helper()
	var all []jetstream.Msg
	err := scan(bounded(t), w.JS, consumer.EventsStream, jetstream.OrderedConsumerConfig{}, func(m jetstream.Msg) bool {
		all = append(all, m)
		return true
	})
	if err != nil {
		t.Fatalf("read the stream: %v", err)
	}
	return all
}

// tokens counts the stored events by their token.
func (w *world) tokens(t testing.TB) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, m := range w.stored(t) {
		ev, err := event.Decode(m.Data())
		if err != nil {
			t.Fatalf("stored on %s: %v", m.Subject(), err)
		}
		found[ev.Token]++
	}
	return found
}

// once checks that events 1 to n are stored, each once, and nothing else.
func (w *world) once(t testing.TB, n int) {
	t.Helper()
	found := w.tokens(t)
	for i := 1; i <= n; i++ {
		if count := found[token(i)]; count != 1 {
			t.Errorf("event %d is stored %d times", i, count)
			if t.Failed() && i > 10 {
				break
			}
		}
	}
	if len(found) != n {
		t.Errorf("%d different events stored; want %d", len(found), n)
	}
}

func token(i int) string { return fmt.Sprintf("SECRET-token-%d", i) }

// jsonLines is an input of events from to to, without ids.
func jsonLines(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, `{"token":%q,"type":"fcm","object_id":"SECRET-object-%d","user_id":"SECRET-user-%d"}`+"\n", token(i), i, i)
	}
	return b.String()
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// private fails when personal data was printed.
func (r ran) private(t testing.TB) {
	t.Helper()
	if strings.Contains(r.stdout+r.stderr, "SECRET") {
		t.Errorf("personal data in the output:\n%s%s", r.stdout, r.stderr)
	}
}

// want checks the exit code and the words of the output.
func (r ran) want(t testing.TB, code int, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("no %q in the output:\n%s%s", word, r.stdout, r.stderr)
		}
	}
	if r.code != code {
		t.Errorf("exit code %d, want %d; output:\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	r.private(t)
}
