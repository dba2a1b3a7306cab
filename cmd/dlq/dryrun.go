package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// dryRunnerFlag is what asking CleverTap needs: the worker's own variables.
type dryRunnerFlag struct {
	Account     config.CleverTap `embed:""`
	HTTPTimeout time.Duration    `name:"http-timeout" env:"HTTP_TIMEOUT" default:"10s" min:"50ms" max:"5m" help:"Time that one call may take."`
	PermitLease time.Duration    `name:"permit-lease" env:"PERMIT_LEASE" default:"30s" over:"0s" help:"As the workers have it."`
}

// AfterApply checks what the settings have to do with each other.
func (f *dryRunnerFlag) AfterApply(check *config.Check) error {
	if check.Sound("PERMIT_LEASE", "HTTP_TIMEOUT") && f.PermitLease <= 2*f.HTTPTimeout {
		check.Problem("PERMIT_LEASE", config.Quote(f.PermitLease), "must be longer than twice HTTP_TIMEOUT ("+f.HTTPTimeout.String()+")")
	}
	return nil
}

// worker is as much of a worker's settings as a call needs.
func (f *dryRunnerFlag) worker(nats config.NATS) config.Worker {
	return config.Worker{
		NATS:      nats,
		Providers: config.Providers{Names: []string{event.CleverTap}, CleverTap: f.Account},
		Delivery:  config.Delivery{HTTPTimeout: f.HTTPTimeout, PermitLease: f.PermitLease, HoldMax: 5 * time.Minute},
	}
}

// dryRun says what would happen, and asks where somebody can be asked.
func (c *replayCommand) dryRun(ctx context.Context, std streams, link *link, plan *replay.Plan) error {
	ask := map[string]replay.Ask{}
	if c.CleverTap.Account.HasCredentials() {
		asker, err := newAsker(ctx, c.CleverTap.worker(c.NATS), link.js)
		if err != nil {
			return err
		}
		defer asker.Close()
		ask[event.CleverTap] = asker.ask
	} else {
		printf(std.err, "CleverTap is not asked: CLEVERTAP_ACCOUNT_ID and CLEVERTAP_PASSCODE are not set\n")
	}
	bar := newBar(std.err, "asking", plan.Ready())
	groups, err := plan.DryRun(ctx, ask, bar.set)
	bar.end()
	if err != nil {
		return err
	}
	dies := 0
	printf(std.out, "\n")
	for _, g := range sorted(groups, func(g replay.DryGroup) dlq.Group { return g.Group.Group }) {
		printf(std.out, "%s %s: %s\n", printable(g.Provider), printable(g.Code), orDash(printable(g.Reason)))
		printf(std.out, "  %s would be replayed", phrase.Thousands(g.Ready))
		switch {
		case g.Asked > 0:
			printf(std.out, "; of these CleverTap would take %s now\n", phrase.Thousands(g.Passes))
		case g.Ready > 0 && g.Provider == event.Courier:
			printf(std.out, "; Courier has no dry run\n")
		default:
			printf(std.out, "\n")
		}
		for _, code := range slices.Sorted(maps.Keys(g.Dies)) {
			dies += g.Dies[code]
			printf(std.out, "  %s would die again of %s (%s)\n", phrase.Thousands(g.Dies[code]), printable(code), printable(g.DiesOf[code]))
		}
	}
	printf(std.out, "nothing was changed\n")
	if dies+plan.Left() > 0 {
		return errTold
	}
	return nil
}

// asker lets the replay ask CleverTap without knowing it.
type asker struct{ *app.DryRun }

func newAsker(ctx context.Context, settings config.Worker, js jetstream.JetStream) (asker, error) {
	run, err := app.OpenDryRun(ctx, settings, js)
	return asker{run}, err
}

func (a asker) ask(ctx context.Context, events []*event.Event) ([]replay.Answer, error) {
	judgements, err := a.Ask(ctx, events)
	answers := make([]replay.Answer, len(judgements))
	for i, j := range judgements {
		answers[i] = replay.Answer(j)
	}
	return answers, err
}
