package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// A message of a client that knows nothing of us is an event like any other.
func TestPlainPublishIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	if err := w.broker.Conn.Publish("tokens.registered", []byte(registration(1))); err != nil {
		t.Fatal(err)
	}
	for _, provider := range event.Providers() {
		eventually(t, provider+" takes it", func() bool { return w.report(provider).Accepted == 1 })
		w.settled(provider)
		w.delivered(provider, token(1))
	}
	w.noLetters()
}

func TestDemo(t *testing.T) {
	t.Parallel()
	done := runCommand(t, "demo", nil, "--once", "--sample", "5000")
	if done.code != 0 {
		t.Fatalf("exit %d\n%s%s", done.code, done.stdout, done.stderr)
	}
	for _, want := range []string{
		"5000 events published",
		"The books balance: at each provider, published = delivered + dead + skipped",
		"dead by code: 531 ", "http_400 ", "invalid_event ",
		"tokens/s", "records a call",
	} {
		if !strings.Contains(done.stdout, want) {
			t.Errorf("no %q in\n%s", want, done.stdout)
		}
	}
}

func TestDemoStaysUntilTold(t *testing.T) {
	t.Parallel()
	demo := startCommand(t, "demo", nil, "--sample", "50")
	eventually(t, "the sample is settled", func() bool { return len(demo.stdout.with("running until interrupted")) == 1 })
	select {
	case <-demo.ended:
		t.Fatal("it ended by itself")
	case <-time.After(0):
	}
	if code := demo.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}

// A broker elsewhere gets the sample, also one that has no worker and so no
// stream yet.
func TestDemoFeedsABrokerElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	feed := startCommand(t, "demo", nil, "--into", w.broker.URL(), "--sample", "201", "--rate", "1000")
	eventually(t, "it waits for the stream", func() bool { return len(feed.stderr.with("waiting for the stream")) == 1 })
	w.start()
	eventually(t, "all is published", func() bool {
		return len(feed.stdout.with("201 sample events are stored, 0 were not confirmed")) == 1
	})
	<-feed.ended
	if code := feed.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, provider := range event.Providers() {
		w.settled(provider)
		if got := w.report(provider).Accepted; got < 100 {
			t.Errorf("%s accepted %d", provider, got)
		}
	}
}
