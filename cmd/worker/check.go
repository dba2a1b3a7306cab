package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

type checkCommand struct {
	config.Worker `embed:""`
}

// Run prints a line a finding. What would not work makes it fail.
func (c *checkCommand) Run(ctx context.Context, std streams) error {
	broken := 0
	for finding := range app.Check(ctx, c.Worker) {
		_, _ = fmt.Fprintln(std.out, finding)
		if finding.Broken {
			broken++
		}
	}
	switch broken {
	case 0:
		return nil
	case 1:
		return errors.New("1 thing would not work")
	}
	return fmt.Errorf("%d things would not work", broken)
}

type resumeCommand struct {
	Provider string      `arg:"" enum:"clevertap,courier" help:"clevertap or courier."`
	NATS     config.NATS `embed:""`
}

// Run ends the hold and says whether there was one.
func (c *resumeCommand) Run(ctx context.Context, std streams) error {
	resumed, err := app.Resume(ctx, c.NATS, c.Provider)
	if err != nil {
		return err
	}
	if !resumed {
		_, _ = fmt.Fprintf(std.out, "%s was not held\n", c.Provider)
		return nil
	}
	_, _ = fmt.Fprintf(std.out, "%s goes on: the hold has ended for every pod\n", c.Provider)
	return nil
}
