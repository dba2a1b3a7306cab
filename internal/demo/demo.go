// Package demo is everything in one process, for trying tokenrelay out: an
// embedded JetStream on disk, the providers' sandbox, the worker, the console, and a load
// of sample events whose books are counted independently at both ends.
//
// It knows how the parts fit together on one machine; it refuses to know how
// any of them works, and it never listens on anything but loopback. Start owns
// what it starts; Close ends it, in order.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// Settings of a world of one process.
type Settings struct {
	Dir      string // for streams; empty: a temporary one, removed at the end
	NATSAddr string // host:port for the broker; empty: any free port
	Console  string // host:port for the console, loopback; empty: there is none
	Worker   func(natsURL string, fakes *sandbox.Server) (config.Worker, error)
	Log      *slog.Logger
}

// World is the broker, the fake providers, the worker and the console.
type World struct {
	Broker  *broker.Broker
	Sandbox *sandbox.Server
	Worker  *app.Worker
	Console *console.Console // nil: there is none
	JS      jetstream.JetStream

	conn *nats.Conn
	ends []end // in the order they were started
}

// end is how to end one thing that was started.
type end struct {
	what string
	stop func() error
}

// The sandbox answers as slowly as a provider nearby.
const (
	cleverTapLatency = 60 * time.Millisecond
	courierLatency   = 15 * time.Millisecond
)

const (
	sessionIdle  = 12 * time.Hour
	consoleGrace = 20 * time.Second
)

// Start builds the world; on an error nothing of it is left.
func Start(ctx context.Context, s Settings) (_ *World, err error) {
	w := &World{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	dir := s.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tokenrelay-demo-"); err != nil {
			return nil, fmt.Errorf("directory for the streams: %w", err)
		}
		w.started("temporary directory", func() error { return os.RemoveAll(dir) })
	}
	if w.Broker, err = broker.Start(broker.Settings{Dir: filepath.Join(dir, "jetstream"), Addr: s.NATSAddr, SyncAlways: true, Name: "tokenrelay-demo"}); err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	w.started("broker", func() error { w.Broker.Stop(); return nil })
	if w.Sandbox, err = sandbox.Start(sandbox.Settings{Rules: SampleRules()}); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	w.started("sandbox", w.Sandbox.Close)
	settings, err := s.Worker(w.Broker.URL(), w.Sandbox)
	if err != nil {
		return nil, err
	}
	w.Worker = app.New(settings, false, s.Log)
	w.started("worker", func() error {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), settings.Delivery.ShutdownGrace)
		defer cancel()
		return w.Worker.Stop(ending)
	})
	if err = w.Worker.Start(ctx); err != nil {
		return nil, err
	}
	if w.conn, err = nats.Connect(w.Broker.URL(), nats.Name("tokenrelay demo")); err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	w.started("connection", func() error { w.conn.Close(); return nil })
	if w.JS, err = jetstream.New(w.conn); err != nil {
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	if s.Console != "" {
		err = w.serve(ctx, s)
	}
	return w, err
}

// serve starts the console. Nobody else can reach it, so it asks for a name
// only.
func (w *World) serve(ctx context.Context, s Settings) error {
	letters, err := dlq.Open(ctx, w.JS)
	if err != nil {
		return err
	}
	if w.Console, err = console.New(console.Settings{Addr: s.Console, Idle: sessionIdle, JS: w.JS, Letters: letters, Log: s.Log}); err != nil {
		return err
	}
	w.started("console", func() error {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleGrace)
		defer cancel()
		return w.Console.Stop(ending)
	})
	return w.Console.Start()
}

func (w *World) started(what string, stop func() error) { w.ends = append(w.ends, end{what, stop}) }

// Close ends everything, the last started first.
func (w *World) Close() error {
	var errs []error
	for _, e := range slices.Backward(w.ends) {
		if err := e.stop(); err != nil {
			errs = append(errs, fmt.Errorf("end of the %s: %w", e.what, err))
		}
	}
	w.ends = nil
	return errors.Join(errs...)
}

// Welcome tells what runs where and how to use it.
func (w *World) Welcome(out io.Writer) {
	page := "(not with --once)"
	if w.Console != nil {
		page = w.Console.URL()
	}
	_, _ = fmt.Fprintf(out, `tokenrelay demo: everything in one process, on loopback only. NOT FOR PRODUCTION:
the providers are fakes and nobody is asked for a password.

  console   %s
  NATS      %s
  sandbox   %s (report, rules; base URLs %s and %s)
  health    http://%s/readyz and /metrics

Publish an event of your own with any NATS client:

  nats -s %s pub tokens.registered '{"user_id":"ann","object_id":"__g1","token":"t-1","type":"fcm"}'

`, page, w.Broker.URL(), w.Sandbox.URL()+sandbox.ControlPath+"/report", w.Sandbox.CleverTapURL(), w.Sandbox.CourierURL(), w.Worker.Addr(), w.Broker.URL())
}
