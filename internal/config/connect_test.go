package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// patience is for what should happen soon; nothing depends on how soon.
const patience = 20 * time.Second

func startBroker(t *testing.T, options server.Options) *server.Server {
	t.Helper()
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", -1, true, true
	broker, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the broker does not start")
	}
	return broker
}

// closedPort is an address that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestConnect(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, server.Options{Username: "me", Password: "hunter2"})
	for name, n := range map[string]config.NATS{
		"in the URL":         {URL: []string{"nats://me:hunter2@" + broker.Addr().String()}},
		"in settings":        {URL: []string{broker.ClientURL()}, User: "me", Password: config.NewSecret("hunter2")},
		"without a scheme":   {URL: []string{broker.Addr().String()}, User: "me", Password: config.NewSecret("hunter2")},
		"one server is away": {URL: []string{closedPort(t), broker.ClientURL()}, User: "me", Password: config.NewSecret("hunter2")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := n.Connect(t.Context(), "test")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if !conn.IsConnected() || conn.Opts.Name != "test" || conn.Opts.MaxReconnect != -1 {
				t.Errorf("connected %t as %q with %d reconnects", conn.IsConnected(), conn.Opts.Name, conn.Opts.MaxReconnect)
			}
		})
	}
}

func TestConnectNKey(t *testing.T) {
	t.Parallel()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := user.Seed()
	public, _ := user.PublicKey()
	broker := startBroker(t, server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
	n := config.NATS{URL: []string{broker.ClientURL()}, NKeyFile: write(t, string(seed))}
	conn, err := n.Connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	n = config.NATS{URL: n.URL, NKeyFile: write(t, "no seed")}
	if _, err := n.Connect(t.Context(), "test"); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("NATS_NKEY_FILE is %q, must hold the seed", n.NKeyFile)) {
		t.Errorf("a file without a seed: %v", err)
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, server.Options{Username: "me", Password: "hunter2"})
	away, gone, rude := closedPort(t), closedPort(t), newGate(t, "")
	const look = "; look at NATS_USER, NATS_PASSWORD, NATS_CREDS and NATS_NKEY_FILE"
	for name, test := range map[string]struct {
		nats config.NATS
		want string
		is   error
	}{
		"refused": {
			nats: config.NATS{URL: []string{"nats://" + away}},
			want: "NATS_URL: nats://" + away + ": connection refused",
			is:   syscall.ECONNREFUSED,
		},
		"refused, with a user": {
			nats: config.NATS{URL: []string{"tls://me:hunter2@" + away}},
			want: "NATS_URL: tls://" + away + ": connection refused",
			is:   syscall.ECONNREFUSED,
		},
		"no such host": {
			nats: config.NATS{URL: []string{"nats://me:hunter2@nowhere.invalid:4222"}},
			want: "NATS_URL: nats://nowhere.invalid:4222: ", // the resolver's own words
		},
		"wrong password": {
			nats: config.NATS{URL: []string{broker.ClientURL()}, User: "me", Password: config.NewSecret("guess")},
			want: "NATS_URL: " + broker.ClientURL() + ": Authorization Violation" + look,
			is:   nats.ErrAuthorization,
		},
		"wrong password in the URL": {
			nats: config.NATS{URL: []string{"nats://me:guess@" + broker.Addr().String()}},
			want: "NATS_URL: " + broker.ClientURL() + ": Authorization Violation" + look,
			is:   nats.ErrAuthorization,
		},
		"hangs up": {
			nats: config.NATS{URL: []string{rude.url()}},
			want: "NATS_URL: " + rude.url() + ": closed the connection at once; is it a NATS server?",
			is:   io.EOF,
		},
		"no authority": {
			nats: config.NATS{URL: []string{"nats://" + gone}, TLSCA: filepath.Join(t.TempDir(), "ca.pem")},
			want: "NATS_TLS_CA is ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.nats.Connect(t.Context(), "test")
			if err == nil {
				t.Fatal("connected")
			}
			if text := err.Error(); !strings.HasPrefix(text, test.want) || test.is != nil && text != test.want {
				t.Errorf("error:\n%s\nwant:\n%s", text, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
			for _, secret := range []string{"hunter2", "guess", "me:"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %q: %v", secret, err)
				}
			}
		})
	}
}

func TestConnectTellsOfEveryServer(t *testing.T) {
	t.Parallel()
	one, two := closedPort(t), closedPort(t)
	n := config.NATS{URL: []string{one, "nats://" + two}}
	_, err := n.Connect(t.Context(), "test")
	for _, at := range []string{one, two} { // the client tries them in any order
		if want := "nats://" + at + ": connection refused"; err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%v; want %s once", err, want)
		}
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("told to stop")
	cancel(cause)
	n := config.NATS{URL: []string{closedPort(t)}}
	if _, err := n.Connect(ctx, "test"); !errors.Is(err, cause) {
		t.Errorf("Connect: %v", err)
	}
	if _, err := n.Await(ctx, "test", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Await connected")
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, server.Options{})
	gate := newGate(t, broker.Addr().String())
	n := config.NATS{URL: []string{"nats://me:hunter2@" + gate.listener.Addr().String()}}
	log, lines := watchedLog()
	go func() {
		for range 2 { // it says so each time
			line := <-lines
			if !strings.Contains(line, "waiting for NATS") || strings.Contains(line, "hunter2") {
				t.Errorf("logged %s", line)
			}
		}
		gate.open()
	}()
	conn, err := n.Await(t.Context(), "test", log)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// The context of Connect is the start's: a connection must outlive it.
func TestReconnectsAfterItsContext(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, server.Options{})
	gate := newGate(t, broker.Addr().String())
	gate.open()
	ctx, cancel := context.WithCancel(t.Context())
	again := make(chan struct{}, 1)
	n := config.NATS{URL: []string{gate.url()}}
	conn, err := n.Connect(ctx, "test", nats.ReconnectHandler(func(*nats.Conn) { again <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	gate.cut()
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("did not reconnect")
	}
}

// gate is a way to a broker: closed, it hangs up at once.
type gate struct {
	listener net.Listener
	behind   string

	mu     sync.Mutex
	opened bool
	conns  []net.Conn
}

func newGate(t *testing.T, behind string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, behind: behind}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { g.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		g.cut()
		serving.Wait()
	})
	return g
}

func (g *gate) url() string { return fmt.Sprintf("nats://%s", g.listener.Addr()) }

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = true
}

// cut ends every connection that goes through.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range g.conns {
		conn.Close()
	}
	g.conns = nil
}

func (g *gate) serve(client net.Conn) {
	defer client.Close()
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if !opened {
		return
	}
	broker, err := net.Dial("tcp", g.behind)
	if err != nil {
		return
	}
	defer broker.Close()
	g.mu.Lock()
	g.conns = append(g.conns, client, broker)
	g.mu.Unlock()
	go func() {
		_, _ = io.Copy(broker, client)
		broker.Close()
	}()
	_, _ = io.Copy(client, broker)
}

// watchedLog is a log whose lines are waited for.
func watchedLog() (*slog.Logger, <-chan string) {
	lines := make(chan string, 100)
	return slog.New(slog.NewTextHandler(lineWriter(lines), nil)), lines
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}
