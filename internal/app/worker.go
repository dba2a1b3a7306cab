// Package app wires a worker together and owns its life: what is started in
// which order, what is ended in which, and how long that may take.
//
// It knows every room and none of their rules. A Worker owns all goroutines of
// the process but main's; Stop returns when the last has ended.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/build"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/delivery"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/internal/flow"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/reread"
	"github.com/tokenrelay/tokenrelay/providers"
)

// Worker is one pod: the desks of its providers and what they stand on.
type Worker struct {
	settings  config.Worker
	force     bool
	log       *slog.Logger
	self      string // this pod's name in the fleet
	registry  *prometheus.Registry
	readiness *ops.Readiness
	server    *ops.Server
	conn      *nats.Conn
	board     *fleet.Board
	announcer *flow.Announcer
	refusals  *refusals
	files     reread.Watch

	stop, work             context.Context
	stopPulling, stopCalls context.CancelFunc
	desks                  map[string]*delivery.Desk
	delivering             sync.WaitGroup // of the desks; ends with the last message settled
	helpers                sync.WaitGroup // the board's watch, the figures, the announcements
	endHelpers             context.CancelFunc
	consumers              []*consumer.Consumer
	providers              []providers.Provider
}

// New is a worker that has started nothing yet. force lets the start lower
// replicas and ages of existing streams.
func New(settings config.Worker, force bool, log *slog.Logger) *Worker {
	w := &Worker{
		settings: settings, force: force, log: log, self: podName(),
		registry: ops.NewRegistry(), readiness: &ops.Readiness{}, desks: map[string]*delivery.Desk{},
	}
	w.refusals = newRefusals(log)
	w.files.Log = log
	w.announcer = flow.NewAnnouncer(flow.AnnouncerSettings{Pod: w.self, Version: build.Read().Version, Log: log})
	w.server = ops.NewServer(settings.HTTP.Addr, w.readiness, w.registry, log)
	return w
}

// RereadAt lets each signal read the files of secrets, keys and certificates
// again, at once. It is for before Start.
func (w *Worker) RereadAt(signals <-chan os.Signal) { w.files.Signals = signals }

// podName is the host's name, which a platform makes the pod's, and something
// of this start's own.
func podName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "pod"
	}
	return host + "-" + nuid.Next()[16:]
}

// Run starts the worker, works until ctx is done and ends in order, within
// SHUTDOWN_GRACE.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.Start(ctx); err != nil {
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.settings.Delivery.ShutdownGrace)
		defer cancel()
		stopErr := w.Stop(ended)
		if ctx.Err() != nil { // told to stop while it waited for the broker
			return stopErr
		}
		return errors.Join(err, stopErr)
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-w.server.Failed():
	}
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.settings.Delivery.ShutdownGrace)
	defer cancel()
	return errors.Join(failed, w.Stop(ended))
}

// Start is one straight line, since each step stands on the one before:
// health, broker, streams, the fleet's state, then a desk a provider. It waits
// for a broker that is away until ctx is done.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.server.Start(); err != nil {
		return err
	}
	w.log.Info("worker starts", "pod", w.self, "providers", w.settings.Providers.Names, "http", w.server.Addr(), "version", build.Read().Version)

	helping, endHelpers := context.WithCancel(context.WithoutCancel(ctx))
	w.endHelpers = endHelpers
	for _, file := range w.settings.NATS.Files() {
		w.files.Add(file, nil) // the connection asks for it
	}
	w.helpers.Go(func() { w.files.Run(helping) })

	conn, err := w.settings.NATS.Await(ctx, "tokenrelay worker "+w.self, w.log,
		nats.ReconnectHandler(ops.CountReconnects(w.registry)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				w.log.Warn("NATS is away; the client reconnects", "err", err)
			}
		}),
		nats.ErrorHandler(func(conn *nats.Conn, _ *nats.Subscription, err error) {
			if !w.announcer.Refused(err) && !w.refusals.hear(conn, err) {
				w.log.Warn("NATS", "err", err)
			}
		}))
	if err != nil {
		return err
	}
	w.conn = conn
	w.readiness.SetNATS(conn.IsConnected)
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	topology := Topology(w.settings, w.force)
	waiting := &waiting{log: w.log, refusals: w.refusals, readiness: w.readiness}
	kept, err := await(ctx, waiting, func(ctx context.Context) ([]consumer.Finding, error) { return consumer.Ensure(ctx, js, topology) })
	if err != nil {
		return err
	}
	for _, finding := range kept {
		w.log.Warn(finding.String())
	}

	holds, err := w.openFleet(ctx, helping, js, waiting)
	if err != nil {
		return err
	}
	w.stop, w.stopPulling = context.WithCancel(context.WithoutCancel(ctx))
	w.work, w.stopCalls = context.WithCancel(context.WithoutCancel(ctx))
	w.announcer.Begin()
	deliveryMetrics := delivery.NewMetrics(w.registry)
	sources := map[string]ops.Source{}
	for _, name := range w.settings.Providers.Names {
		provider, err := newAccount(name, w.settings)
		if err != nil {
			return err
		}
		w.providers = append(w.providers, provider)
		w.follow(helping, provider, holds)
		events, err := await(ctx, waiting, func(ctx context.Context) (*consumer.Consumer, error) {
			return consumer.Open(ctx, js, name, consumer.Options{Log: w.log, Topology: topology})
		})
		if err != nil {
			return err
		}
		w.consumers = append(w.consumers, events)
		sources[name] = figures(events, js, name)
		w.registry.MustRegister(newHeldGauge(holds, name))
		desk := delivery.NewDesk(w.deskSettings(helping, name, delivery.Settings{
			Provider: provider, Consumer: events, Holds: holds, Letters: dlq.NewWriter(js, w.remake(js)), Conn: conn,
			Metrics: deliveryMetrics, Log: w.log, EventMaxAge: events.MaxAge(),
			RetryMaxElapsed: w.settings.Delivery.RetryMaxElapsed, MaxAttempts: w.settings.Delivery.MaxAttempts,
			MaxAttemptsAge: w.settings.Delivery.MaxAttemptsAge,
		}))
		w.desks[name] = desk
		w.delivering.Go(func() { desk.Run(w.stop, w.work) })
	}
	fleetFigures := ops.NewFigures(ops.FiguresOptions{Sources: sources, Log: w.log})
	w.registry.MustRegister(fleetFigures)
	w.helpers.Go(func() { fleetFigures.Run(helping) })
	w.helpers.Go(func() { w.announcer.Run(helping, conn, w.counted) })
	w.readiness.SetStarted()
	w.log.Info("worker is ready", "pod", w.self)
	return nil
}

// openFleet begins to watch the fleet's state and waits for the first view of
// it, so that a pod that joins respects the holds there are.
func (w *Worker) openFleet(ctx, helping context.Context, js jetstream.JetStream, waiting *waiting) (*fleet.Holds, error) {
	board := fleet.NewBoard(fleet.BoardSettings{JS: js, Bucket: consumer.FleetBucket, Log: w.log, Remake: w.remake(js), Used: delivered(js)})
	w.board = board
	w.helpers.Go(func() { board.Run(helping) })
	if _, err := await(ctx, waiting, func(ctx context.Context) (struct{}, error) {
		select {
		case <-board.Loaded():
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, context.Cause(ctx)
		}
	}); err != nil {
		return nil, err
	}
	d := w.settings.Delivery
	holds := fleet.NewHolds(board, w.self, fleet.Schedule{Min: d.HoldMin, Max: d.HoldMax}, d.PermitLease, w.log)
	w.readiness.SetHolds(func() []ops.Hold { return readinessHolds(holds, w.settings.Providers.Names) })
	return holds, nil
}

// remake makes a bucket that vanished under way again, where that is allowed.
func (w *Worker) remake(js jetstream.JetStream) func(context.Context) error {
	if !w.settings.Streams.Provision {
		return nil
	}
	return func(ctx context.Context) error {
		_, err := consumer.Ensure(ctx, js, Topology(w.settings, false))
		return err
	}
}

// Stop ends in order: not ready, no more pulls, what is batched goes, open
// calls are waited for, the rest is given back, the acks reach the broker,
// and the metrics are there to the last. When ctx is done open calls are cut
// off; their events come again.
func (w *Worker) Stop(ctx context.Context) error {
	w.readiness.SetDraining()
	var errs []error
	if w.stopPulling != nil {
		w.stopPulling()
		settled := make(chan struct{})
		go func() { w.delivering.Wait(); close(settled) }()
		select {
		case <-settled:
		case <-ctx.Done():
			errs = append(errs, errors.New("SHUTDOWN_GRACE is over: open calls are cut off, their events come again"))
			w.stopCalls()
			<-settled
		}
		w.stopCalls()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for _, provider := range w.providers {
		provider.Close()
	}
	for _, events := range w.consumers {
		events.Close()
	}
	if w.endHelpers != nil {
		w.endHelpers()
		w.helpers.Wait()
	}
	if w.conn != nil {
		w.announcer.End(w.conn, w.counted())
		if err := w.conn.FlushWithContext(last); err != nil {
			errs = append(errs, fmt.Errorf("acks may not have reached the broker: %w", err))
		}
		w.conn.Close()
	}
	errs = append(errs, w.server.Stop(last))
	w.log.Info("worker ended", "pod", w.self)
	return errors.Join(errs...)
}

// lastWords bounds what follows when no call is open any more.
const lastWords = 5 * time.Second

// Addr is where health and metrics are served.
func (w *Worker) Addr() string { return w.server.Addr() }

// Registry has the worker's metrics.
func (w *Worker) Registry() *prometheus.Registry { return w.registry }
