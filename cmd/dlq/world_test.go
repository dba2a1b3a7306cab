package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/lettertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 60 * time.Second

func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return process{}.run(ctx, args, env, stdin, stdout, stderr)
}

// world is where the command is run.
type world struct{ *lettertest.World }

func newWorld(t testing.TB, settings ...string) *world {
	t.Helper()
	return &world{lettertest.New(t, settings...)}
}

// ended is a command that has run to its end.
type ended struct {
	code        int
	out, errors string
}

// dlq runs the command; input is its standard input.
func (w *world) dlq(input string, args ...string) ended {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	return w.dlqWithin(ctx, input, args...)
}

func (w *world) dlqWithin(ctx context.Context, input string, args ...string) ended {
	w.T.Helper()
	var out, problems bytes.Buffer
	code := run(ctx, args, w.Environment(), strings.NewReader(input), &out, &problems)
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

// letters reads the dead-letter stream, oldest first.
func (w *world) letters() []*dlq.Stored {
	w.T.Helper()
	r, err := dlq.Open(w.T.Context(), w.Broker.JS)
	if err != nil {
		w.T.Fatal(err)
	}
	var list []*dlq.Stored
	for l, err := range r.Letters(w.T.Context(), dlq.Filter{}, dlq.End, dlq.Whole) {
		if err != nil {
			w.T.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// stored counts the messages of a subject of the events' stream.
func (w *world) stored(subject string) int {
	w.T.Helper()
	stream, err := w.Broker.JS.Stream(w.T.Context(), consumer.EventsStream)
	if err != nil {
		w.T.Fatal(err)
	}
	info, err := stream.Info(w.T.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		w.T.Fatal(err)
	}
	sum := 0
	for _, n := range info.State.Subjects {
		sum += int(n)
	}
	return sum
}

// settled waits until every event up to a place is settled at a provider.
func (w *world) settled(provider string, last uint64) {
	w.T.Helper()
	brokertest.Eventually(w.T, "all settled at "+provider, func() bool {
		c, err := w.Broker.JS.Consumer(w.T.Context(), consumer.EventsStream, provider)
		if err != nil {
			w.T.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Stream >= last
	})
}

// registration is an event whose token, user and object have a name in common.
func registration(name string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm"}`, name)
}

// only is registration for one provider.
func only(provider, name string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm","destinations":["%[2]s"]}`, name, provider)
}
