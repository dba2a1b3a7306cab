package broker_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/internal/broker"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStreamSurvives(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*brokertest.Broker) error{
		"restart":       func(b *brokertest.Broker) error { return b.Restart() },
		"stop, restart": func(b *brokertest.Broker) error { b.Stop(); return b.Restart() },
		"kill, restart": func(b *brokertest.Broker) error {
			if err := b.Kill(); err != nil {
				return err
			}
			return b.Restart()
		},
	}
	for name, again := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, broker.Settings{SyncAlways: true, Name: "here"})
			if _, err := b.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
			for range 100 {
				if _, err := b.JS.Publish(t.Context(), "s", []byte("hello")); err != nil {
					t.Fatal(err)
				}
			}
			url := b.URL()
			if err := again(b); err != nil {
				t.Fatal(err)
			}
			if b.URL() != url {
				t.Fatalf("URL is %s, was %s", b.URL(), url)
			}
			_, js := brokertest.Connect(t, b.URL())
			s, err := js.Stream(t.Context(), "S")
			if err != nil {
				t.Fatal(err)
			}
			if got := s.CachedInfo().State.Msgs; got != 100 {
				t.Fatalf("%d messages after it, want 100", got)
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		settings broker.Settings
		want     string
	}{
		"no folder":   {broker.Settings{}, "no folder"},
		"no port":     {broker.Settings{Dir: t.TempDir(), Addr: "127.0.0.1"}, "want host:port"},
		"port a word": {broker.Settings{Dir: t.TempDir(), Addr: "127.0.0.1:http"}, "must be a number"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := broker.Start(c.settings)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestStopTwice(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	b.Stop()
	b.Stop()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
}
