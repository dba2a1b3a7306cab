package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/reread"
	"github.com/tokenrelay/tokenrelay/internal/rights"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
)

type consoleCommand struct {
	Console config.Console `embed:"" group:"The console"`
	NATS    config.NATS    `embed:"" group:"The broker"`
	Log     config.Log     `embed:"" group:"The process"`
}

// consoleGrace is the time for running jobs to put away what they have in hand.
const consoleGrace = 20 * time.Second

// Run serves the console until told to stop.
func (c *consoleCommand) Run(ctx context.Context, std streams) error {
	log := ops.NewLogger(std.err, c.Log.Level, c.Log.Format, terminal.Is(std.err))
	var told sync.Map // by right: who may only look asks in vain now and then
	starting, started := context.WithCancelCause(ctx)
	defer started(nil)
	link, err := connect(starting, c.NATS, "console", func(refused *rights.Refusal) {
		if _, before := told.LoadOrStore(refused.Right, true); !before {
			log.Warn("NATS refuses", "err", refused)
		}
		started(refused)
	})
	if err != nil {
		return cmp.Or(context.Cause(starting), err)
	}
	defer link.close()
	settings := console.Settings{
		Addr: c.Console.Addr, Hosts: c.Console.Hosts, Certificate: c.Console.Certificate(), Idle: c.Console.Session,
		JS: link.js, Letters: link.letters, Log: log,
	}
	if c.Console.Password.IsSet() {
		settings.Password = c.Console.Password.Reveal
	}
	served, err := console.New(settings)
	if err != nil {
		return err
	}
	if err := served.Start(); err != nil {
		return errors.Join(err, served.Stop(ctx))
	}
	printf(std.out, "console: %s\n", served.URL())
	if c.Console.Password.IsSet() && settings.Certificate == nil && !c.Console.Local() {
		log.Warn("the console is served without TLS: passwords and letters travel in the clear, unless a proxy adds it; see CONSOLE_TLS_CERT")
	}
	watching, endWatch := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { c.files(log, std.hangups, served).Run(watching) })
	defer watched.Wait()
	defer endWatch()
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-served.Failed():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleGrace)
	defer cancel()
	return errors.Join(failed, served.Stop(ending))
}

// files are those that may change while the console runs.
func (c *consoleCommand) files(log *slog.Logger, hangups <-chan os.Signal, served *console.Console) *reread.Watch {
	watch := &reread.Watch{Log: log, Signals: hangups}
	if file := c.Console.Password.File(); file != nil {
		watch.Add(file, served.EndSessions)
	}
	for _, file := range slices.Concat(c.Console.Files(), c.NATS.Files()) {
		watch.Add(file, nil)
	}
	return watch
}
