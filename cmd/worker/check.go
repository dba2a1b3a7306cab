package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	Believe  bool        `help:"Also take the events that were refused by name in this hold for bad: they become letters."`
	NATS     config.NATS `embed:""`
}

// Run ends the hold, and says whether there was one and which pods have heard.
func (c *resumeCommand) Run(ctx context.Context, std streams) error {
	resumed, err := app.Resume(ctx, c.NATS, c.Provider, c.Believe)
	if err != nil {
		return err
	}
	if resumed.Held {
		_, _ = fmt.Fprintf(std.out, "%s goes on: the hold has ended for every pod\n", c.Provider)
	} else {
		_, _ = fmt.Fprintf(std.out, "%s was not held\n", c.Provider)
	}
	if len(resumed.Pods) == 0 {
		_, _ = fmt.Fprintln(std.out, "no pod has answered")
		return nil
	}
	_, _ = fmt.Fprintf(std.out, "heard by: %s\n", strings.Join(resumed.Pods, ", "))
	return nil
}
