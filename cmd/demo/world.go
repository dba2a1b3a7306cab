package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/demo"
	"github.com/tokenrelay/tokenrelay/internal/health"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// commandLine is what config.Parse fills.
type commandLine struct {
	Sample int        `default:"0" min:"0" max:"1000000" help:"Publish that many sample events, refused and invalid ones among them."`
	Once   bool       `help:"End when the sample is settled, with a summary."`
	Data   string     `placeholder:"DIR" help:"Keep the streams there; without it they are gone at the end."`
	Into   string     `env:"DEMO_INTO" placeholder:"URL" help:"Publish the sample to the NATS server there, a few events a second, and start nothing here."`
	Rate   int        `default:"5" min:"1" max:"1000" help:"Events a second, with --into."`
	Health bool       `help:"Ask the demo that runs on this host whether it does; exit 1 when it does not."`
	Log    config.Log `embed:""`
}

// AfterApply checks what kong's tags cannot say.
func (c *commandLine) AfterApply(check *config.Check) error {
	if c.Into == "" && check.Given("--rate") {
		check.Problem("DEMO_INTO", "not set", "must be given together with --rate")
	}
	return nil
}

// usualHTTP is where health and metrics are, unless the port is taken.
const usualHTTP = "127.0.0.1:8080"

// run builds the world, loads it, and stays until told to stop.
func (c *commandLine) run(ctx context.Context, env []string, stdout, stderr io.Writer) error {
	if c.Health {
		_, err := health.Ask(ctx, "http", usualHTTP, "/healthz")
		return err
	}
	if (c.Once || c.Into != "") && c.Sample == 0 {
		c.Sample = 5000
	}
	if c.Once && c.Log.Level == "info" { // a demo shows its books, not its log
		c.Log.Level = "error"
	}
	log := ops.NewLogger(stderr, c.Log.Level, c.Log.Format, terminal.Is(stderr))
	if c.Into != "" {
		return demo.Feed(ctx, config.NATS{URL: strings.Split(c.Into, ",")}, c.Sample, c.Rate, stdout, log)
	}
	world, err := c.start(ctx, env, log)
	for errors.Is(err, syscall.EADDRINUSE) && ctx.Err() == nil { // it was free a moment ago
		world, err = c.start(ctx, env, log)
	}
	if err != nil {
		return err
	}
	world.Welcome(stdout)
	return errors.Join(c.load(ctx, world, stdout), world.Close())
}

func (c *commandLine) start(ctx context.Context, env []string, log *slog.Logger) (*demo.World, error) {
	page := ""
	if !c.Once {
		page = c.addr("127.0.0.1:8090")
	}
	return demo.Start(ctx, demo.Settings{
		Dir: c.Data, NATSAddr: c.addr("127.0.0.1:4222"), Console: page, Log: log,
		Worker: func(natsURL string, fakes *sandbox.Server) (config.Worker, error) {
			return c.worker(env, natsURL, fakes)
		},
	})
}

func (c *commandLine) load(ctx context.Context, world *demo.World, stdout io.Writer) error {
	if c.Sample > 0 {
		books, err := world.Load(ctx, c.Sample, stdout, terminal.Is(stdout))
		if err != nil {
			return err
		}
		books.Print(stdout)
		if problems := books.Problems(); len(problems) > 0 {
			return fmt.Errorf("the books do not balance: %s", strings.Join(problems, "; "))
		}
	}
	if c.Once {
		return nil
	}
	_, _ = fmt.Fprintln(stdout, "running until interrupted")
	<-ctx.Done()
	return nil
}

// worker reads the worker's settings as `worker run` would, with the world's
// own broker and fakes: tuning variables work, credentials are not looked at.
func (c *commandLine) worker(env []string, natsURL string, fakes *sandbox.Server) (config.Worker, error) {
	var tuning []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch prefix, _, _ := strings.Cut(name, "_"); prefix {
		case "NATS", "PROVIDERS", "HTTP":
			if name == "HTTP_TIMEOUT" {
				tuning = append(tuning, entry)
			}
		case "CLEVERTAP", "COURIER":
			if strings.HasSuffix(name, "_BATCH_SIZE") || strings.HasSuffix(name, "_BATCH_WAIT") || strings.HasSuffix(name, "_MAX_CONCURRENT") {
				tuning = append(tuning, entry)
			}
		default:
			tuning = append(tuning, entry)
		}
	}
	tuning = append(tuning, "NATS_URL="+natsURL, "HTTP_ADDR="+c.addr(usualHTTP),
		"CLEVERTAP_BASE_URL="+fakes.CleverTapURL(), "CLEVERTAP_ACCOUNT_ID="+sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE="+sandbox.DefaultPasscode,
		"COURIER_BASE_URL="+fakes.CourierURL(), "COURIER_API_KEY="+sandbox.DefaultAPIKey)
	var settings struct {
		config.Worker `embed:""`
	}
	var problems strings.Builder
	if command, _ := config.Parse("demo", "", &settings, nil, tuning, io.Discard, &problems); command == nil {
		return config.Worker{}, errors.New(strings.TrimSpace(problems.String()))
	}
	return settings.Worker, nil
}

// addr is the usual address, or any free port when that one is taken or the
// run ends by itself.
func (c *commandLine) addr(usual string) string {
	const anyPort = "127.0.0.1:0"
	if c.Once {
		return anyPort
	}
	listener, err := net.Listen("tcp", usual)
	if err != nil {
		return anyPort
	}
	_ = listener.Close()
	return usual
}
