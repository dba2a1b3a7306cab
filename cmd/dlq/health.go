package main

import (
	"context"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/health"
)

type healthCommand struct {
	Console config.Console `embed:""`
}

// Run prints the console's answer.
func (c *healthCommand) Run(ctx context.Context, std streams) error {
	scheme := "http"
	if c.Console.TLSCert != "" {
		scheme = "https"
	}
	said, err := health.Ask(ctx, scheme, c.Console.Addr, "/healthz")
	if err != nil {
		return err
	}
	printf(std.out, "%s\n", said)
	return nil
}
