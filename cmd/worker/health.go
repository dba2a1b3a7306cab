package main

import (
	"context"
	"fmt"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/health"
)

type healthCommand struct {
	Ready bool        `help:"Ask whether it is ready, which it is not while it starts, while NATS is away and while it drains."`
	HTTP  config.HTTP `embed:""`
}

// Run prints the answer.
func (c *healthCommand) Run(ctx context.Context, std streams) error {
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	said, err := health.Ask(ctx, "http", c.HTTP.Addr, path)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(std.out, said)
	return nil
}
