// Package console is the operators' page: the flow at a glance, the groups of
// letters with their cure, each letter in full, and the ways to replay, purge,
// export and erase, each with a preview and a progress that survives a reload.
//
// It knows pages, sessions and jobs. What a letter is, how it goes back and
// how a person is erased it asks the rooms beside it; what the fleet does, the
// flow's watch. The pages are rendered here and need no script to be read; a
// short script brings the parts that change. A started Console owns its
// goroutines: the server's, the watch, the count of groups and a job's each;
// Stop ends them.
package console

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

// Settings of a console.
type Settings struct {
	Addr     string        // host:port; any port for 0
	Hosts    []string      // names by which browsers may call it, beside localhost and the host of Addr
	Password func() string // what it is now; nil: operators give a name only, so Addr must be loopback

	Certificate func() tls.Certificate // what it is now; nil: plain HTTP

	Idle time.Duration // a session ends after so long without a click

	JS      jetstream.JetStream // see flow.Settings
	Letters *dlq.Reader
	Log     *slog.Logger
}

// Console serves the page. Make it with New, then Start and Stop it once.
type Console struct {
	Settings
	pages    *template.Template
	veil     *dlq.Veil // the same value reads the same on every page
	flow     *flow.Watch
	tally    *tally
	sessions *sessions
	gate     *gate
	jobs     *jobs
	csrfKey  []byte

	server    *http.Server
	grace     time.Duration // of connections, at the end
	heartbeat time.Duration // of live pages
	listener  net.Listener
	failed    chan error // at most one
	alive     context.Context
	listeners atomic.Int64 // pages that are told of changes
	end       context.CancelFunc
	work      sync.WaitGroup
}

// New is a console that listens nowhere yet. The error is about its templates
// or its addresses.
func New(s Settings) (*Console, error) {
	if host, _, err := net.SplitHostPort(s.Addr); err != nil {
		return nil, fmt.Errorf("CONSOLE_ADDR: %w", err)
	} else if s.Password == nil && !isLoopback(host) {
		return nil, errors.New("CONSOLE_PASSWORD: an address that is not loopback demands one")
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	c := &Console{
		Settings: s, pages: pages, veil: dlq.NewVeil(false), flow: flow.NewWatch(flow.Settings{JS: s.JS, Log: s.Log}),
		tally: newTally(s.Letters), sessions: newSessions(s.Idle), gate: newGate(), csrfKey: make([]byte, 32),
		grace: grace, heartbeat: heartbeat, failed: make(chan error, 1),
	}
	_, _ = rand.Read(c.csrfKey) // never fails
	c.alive, c.end = context.WithCancel(context.Background())
	c.jobs = newJobs(c.alive)
	errorLog := slog.NewLogLogger(quietHandler{s.Log.Handler()}, slog.LevelDebug)
	c.server = &http.Server{
		Handler: c.handler(), ErrorLog: errorLog,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return c.alive },
	}
	return c, nil
}

// quietHandler hides who called: net/http tells addresses of clients whose TLS
// it does not understand.
type quietHandler struct{ slog.Handler }

// Handle keeps the fact and drops the words.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	r = slog.NewRecord(r.Time, slog.LevelDebug, "console: a request could not be served", r.PC)
	return h.Handler.Handle(ctx, r)
}

// Start opens the address and serves.
func (c *Console) Start() error {
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok { // its text repeats the address
			err = op.Err
		}
		return fmt.Errorf("CONSOLE_ADDR: %s: %w", c.Addr, err)
	}
	c.listener = listener
	c.work.Go(func() {
		serve := func() error { return c.server.Serve(listener) }
		if c.Certificate != nil {
			c.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				pair := c.Certificate()
				return &pair, nil
			}}
			serve = func() error { return c.server.ServeTLS(listener, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			c.failed <- fmt.Errorf("console: %w", err)
		}
	})
	c.work.Go(func() {
		if err := c.flow.Run(c.alive); err != nil && c.alive.Err() == nil {
			c.Log.Warn("console: the flow is not watched any more", "err", err)
		}
	})
	c.work.Go(func() { c.tally.run(c.alive) })
	return nil
}

// Failed gets an error when serving ends without Stop.
func (c *Console) Failed() <-chan error { return c.failed }

// URL is where a started console is.
func (c *Console) URL() string {
	scheme := "http://"
	if c.Certificate != nil {
		scheme = "https://"
	}
	addr := c.listener.Addr().String()
	if host, port, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host).IsUnspecified() {
		addr = net.JoinHostPort("localhost", port)
	}
	return scheme + addr + "/"
}

// grace is how long Stop waits for answers that are on their way.
const grace = 5 * time.Second

// EndSessions lets everybody log in again: the password has changed.
func (c *Console) EndSessions() { c.sessions.closeAll() }

// Stop ends running jobs, which say in the log what they have done, and the
// server. Who neither sends nor reads on is cut off after a while; the error
// says that a job did not end before ctx did.
func (c *Console) Stop(ctx context.Context) error {
	c.end()
	if c.listener != nil {
		soon, cancel := context.WithTimeout(ctx, c.grace)
		if c.server.Shutdown(soon) != nil {
			_ = c.server.Close() // of lines that nobody is at
		}
		cancel()
	}
	ended := make(chan struct{})
	go func() {
		c.jobs.wait()
		c.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("console: a job did not end in time: %w", ctx.Err())
	}
}

// isLoopback reports whether nobody but this machine can reach the host.
func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
