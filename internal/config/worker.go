package config

import (
	"net"
	"strconv"
	"time"
)

// Worker is everything that `worker run` can be told.
type Worker struct {
	NATS      NATS      `embed:"" group:"The broker"`
	Streams   Streams   `embed:"" group:"Streams"`
	Providers Providers `embed:"" group:"Providers"`
	Delivery  Delivery  `embed:"" group:"Calls, retries, holds"`
	HTTP      HTTP      `embed:"" group:"The process"`
	Log       Log       `embed:"" group:"The process"`
}

// HTTP is where health and metrics are served.
type HTTP struct {
	Addr string `name:"http-addr" env:"HTTP_ADDR" default:":8080" help:"Where /healthz, /readyz and /metrics are served."`
}

// AfterApply checks what kong's tags cannot say.
func (h *HTTP) AfterApply(check *Check) error {
	check.addr("HTTP_ADDR", h.Addr)
	return nil
}

// addr checks where a server is to listen, by the variable that names it.
func (c *Check) addr(variable, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil && c.Sound(variable) {
		c.Problem(variable, Quote(addr), "must be host:port or :port, with a port from 0 to 65535")
	}
}

// Streams is how streams, consumers and the fleet's bucket are made.
type Streams struct {
	Replicas  int           `name:"stream-replicas" env:"STREAM_REPLICAS" default:"1" min:"1" max:"5" help:"Copies of each stream; use 3 in a cluster."`
	MaxAge    time.Duration `name:"stream-max-age" env:"STREAM_MAX_AGE" default:"168h" over:"1h" help:"Time that events are kept."`
	DLQMaxAge time.Duration `name:"dlq-max-age" env:"DLQ_MAX_AGE" default:"720h" min:"1h" help:"Time that letters are kept."`
	Provision bool          `name:"nats-provision" env:"NATS_PROVISION" default:"true" negatable:"" help:"Make streams, consumers and bucket when they are missing."`

	// Given says which of them somebody set: only those change what exists.
	Given StreamsGiven `kong:"-"`
}

// StreamsGiven says which of the settings of Streams are not mere defaults.
type StreamsGiven struct{ Replicas, MaxAge, DLQMaxAge bool }

// AfterApply notes what was given.
func (s *Streams) AfterApply(check *Check) error {
	s.Given = StreamsGiven{
		Replicas:  check.Given("STREAM_REPLICAS"),
		MaxAge:    check.Given("STREAM_MAX_AGE"),
		DLQMaxAge: check.Given("DLQ_MAX_AGE"),
	}
	return nil
}

// Delivery is the patience of the worker.
type Delivery struct {
	HTTPTimeout     time.Duration `name:"http-timeout" env:"HTTP_TIMEOUT" default:"10s" min:"50ms" max:"5m" help:"Time that one call may take."`
	RetryMaxElapsed time.Duration `name:"retry-max-elapsed" env:"RETRY_MAX_ELAPSED" default:"5s" over:"0s" help:"Time for further calls in place of one that found its provider unavailable."`
	MaxAttempts     int           `name:"max-attempts" env:"MAX_ATTEMPTS" default:"8" min:"1" max:"1000" help:"Rounds that a record may fail by itself, while others are accepted, before it dies."`
	MaxAttemptsAge  time.Duration `name:"max-attempts-age" env:"MAX_ATTEMPTS_AGE" default:"3h" over:"0s" help:"Time that a record must have failed by itself, besides, before it dies."`
	HoldMin         time.Duration `name:"hold-min" env:"HOLD_MIN" default:"2s" over:"0s" help:"First pause of a provider that is held."`
	HoldMax         time.Duration `name:"hold-max" env:"HOLD_MAX" default:"5m" over:"0s" max:"24h" help:"Longest pause of a provider that is held."`
	PermitLease     time.Duration `name:"permit-lease" env:"PERMIT_LEASE" default:"30s" over:"0s" help:"Time after which a silent pod loses its right to call; more than twice the time of a call."`
	ShutdownGrace   time.Duration `name:"shutdown-grace" env:"SHUTDOWN_GRACE" default:"25s" over:"0s" help:"Time for an orderly end."`
}

// Renewal is how often a permit is renewed: every 5 s, or 6 times a lease when
// that is shorter than 30 s. A call of less than half a lease, which AfterApply
// asks for, leaves room for three renewals to fail.
func (d *Delivery) Renewal() time.Duration { return min(5*time.Second, d.PermitLease/6) }

// AfterApply checks what the settings have to do with each other.
func (d *Delivery) AfterApply(check *Check) error {
	if check.Sound("HOLD_MIN", "HOLD_MAX") && d.HoldMin > d.HoldMax {
		check.Problem("HOLD_MIN", Quote(short(d.HoldMin)), "must not be longer than HOLD_MAX ("+short(d.HoldMax)+")")
	}
	if check.Sound("PERMIT_LEASE", "HTTP_TIMEOUT") && d.PermitLease <= 2*d.HTTPTimeout {
		check.Problem("PERMIT_LEASE", Quote(short(d.PermitLease)), "must be longer than twice HTTP_TIMEOUT ("+short(d.HTTPTimeout)+")")
	}
	return nil
}
