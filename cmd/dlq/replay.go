package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type replayCommand struct {
	Chosen chosen `embed:""`

	DryRun        bool          `name:"dry-run" group:"How" help:"Change nothing: count, and ask CleverTap which of them it would take now."`
	Trial         int           `group:"How" default:"5" min:"0" help:"Replay so many of each group first, and go on only with the groups of which none died again; 0 is no trial."`
	MaxFail       int           `group:"How" default:"10" min:"0" help:"After the trial, stop a group when so many of it died again; 0 never stops."`
	Rate          float64       `group:"How" default:"0" min:"0" help:"At most so many a second; 0 is no limit."`
	Yield         bool          `group:"How" default:"true" negatable:"" help:"Hold back while live events wait."`
	YieldAfter    time.Duration `group:"How" default:"250ms" over:"0s" help:"How long live events may wait before the replay holds back."`
	Wait          time.Duration `group:"How" default:"1m" min:"0s" help:"How long to wait for outcomes when nothing moves."`
	MaxGeneration int           `group:"What is left alone" default:"3" min:"0" help:"Leave what was replayed so often and died each time; 0 is no limit."`
	MaxAge        string        `group:"What is left alone" default:"7d" placeholder:"AGE" help:"Leave events that were registered longer ago: 90m, 24h, 7d; 0 is no limit."`
	Stale         bool          `group:"What is left alone" help:"Replay also what is too old, and what a newer event of the same user, type and device has superseded."`
	Set           []string      `group:"Corrections" sep:"none" placeholder:"FIELD=VALUE" help:"Give a field of each event a value before it goes, such as provider_key=firebase-fcm or device.platform=ios; nothing after the = takes it away. May be given several times."`
	Edit          bool          `group:"Corrections" help:"Open the events in $VISUAL or $EDITOR before they go (at most 50)."`

	NATS      config.NATS   `embed:"" group:"The broker"`
	CleverTap dryRunnerFlag `embed:"" group:"CleverTap, for --dry-run"`

	options replay.Options // what AfterApply has read
	sets    []replay.Set
}

// AfterApply reads what kong's tags cannot say.
func (c *replayCommand) AfterApply(check *config.Check) error {
	var err error
	if c.options.MaxAge, err = dlq.ParseAge(c.MaxAge); err != nil {
		check.Problem("--max-age", config.Quote(c.MaxAge), err.Error())
	}
	for _, text := range c.Set {
		set, err := replay.ParseSet(text)
		if err != nil {
			field, _, _ := strings.Cut(text, "=")
			check.Problem("--set", config.Quote(field)+" (its value is not shown)", err.Error())
			continue
		}
		c.sets = append(c.sets, set)
	}
	c.options.Trial, c.options.MaxFail, c.options.Rate, c.options.Wait = c.Trial, c.MaxFail, c.Rate, c.Wait
	c.options.MaxGeneration, c.options.Stale = c.MaxGeneration, c.Stale
	if c.Yield {
		c.options.Yield = c.YieldAfter
	}
	return nil
}

// Run replays, after it has said what it would do and was told to.
func (c *replayCommand) Run(ctx context.Context, std streams) error {
	options := c.options
	var err error
	if options.Filter, err = c.Chosen.read(ctx, std); err != nil {
		return err
	}
	link, err := std.connect(ctx, c.NATS, "replay")
	if err != nil {
		return err
	}
	defer link.close()
	if len(c.sets) > 0 {
		options.Change = replay.ChangeBy(c.sets)
	}
	if c.Edit {
		if err := edit(ctx, std, link, &options); err != nil {
			return err
		}
	}
	plan, err := replay.Prepare(ctx, link.js, link.letters, options)
	if err != nil {
		return err
	}
	if plan.Matched() == 0 {
		printf(std.out, "no letters%s\n", such(options.Filter))
		return nil
	}
	printPlan(std.out, plan)
	if c.DryRun {
		return c.dryRun(ctx, std, link, plan)
	}
	if plan.Ready() == 0 {
		return c.nothingToDo(ctx, std, plan)
	}
	warnOfHolds(ctx, std, link)
	if !c.Chosen.Yes {
		if err := confirm(ctx, std, fmt.Sprintf("Replay %s%s?", phrase.Plural(plan.Ready(), "letter"), c.carefully())); err != nil {
			return err
		}
	}
	return c.replay(ctx, std, plan)
}

// nothingToDo still lets the plan remove what earlier runs left behind.
func (c *replayCommand) nothingToDo(ctx context.Context, std streams, plan *replay.Plan) error {
	if plan.Left() == plan.Matched() {
		printf(std.out, "nothing to replay: %s left\n", phrase.Thousands(plan.Left()))
		return errTold
	}
	return c.replay(ctx, std, plan)
}

// warnOfHolds tells of providers that would let every replay wait. Who cannot
// read the fleet's state is not kept from replaying.
func warnOfHolds(ctx context.Context, std streams, link *link) {
	holds, err := app.Held(ctx, link.js, event.Providers())
	if err != nil {
		return
	}
	for _, h := range holds {
		printf(std.err, "%s is held since %s (%s): what is replayed waits until it takes events again; see `worker check`\n", h.Provider, phrase.When(h.Since), h.Reason)
	}
}

// carefully says what is done first.
func (c *replayCommand) carefully() string {
	if c.Trial == 0 {
		return " without a trial"
	}
	return fmt.Sprintf(", up to %d of each group first", c.Trial)
}

func (c *replayCommand) replay(ctx context.Context, std streams, plan *replay.Plan) error {
	show := newDisplay(std.err, plan.Ready())
	report, err := plan.Run(ctx, show.progress)
	show.end()
	printReport(std.out, report)
	switch {
	case err != nil:
		return err
	case report.Interrupted:
		return errors.New("stopped; what was done and what remains is told above")
	case report.Died+report.Left > 0 || report.NotRemoved > 0:
		return errTold
	}
	return nil
}

// printPlan shows what would go and what stays, by group.
func printPlan(out io.Writer, plan *replay.Plan) {
	width := len(phrase.Thousands(plan.Matched()))
	printf(out, "%s\n", phrase.Plural(plan.Matched(), "letter")+" in "+phrase.Plural(len(plan.Groups), "group"))
	for _, g := range sorted(plan.Groups, func(g replay.Group) dlq.Group { return g.Group }) {
		printf(out, "%*s  %s %s: %s\n", width, phrase.Thousands(g.Count), printable(g.Provider), printable(g.Code), orDash(printable(g.Reason)))
		if g.Done > 0 {
			printf(out, "%*s    %s replayed already, by a run that was cut off: only to be removed\n", width, "", phrase.Thousands(g.Done))
		}
		for _, why := range replay.Whys() {
			if n := g.Left[why]; n > 0 {
				printf(out, "%*s    %s left: %s%s\n", width, "", phrase.Thousands(n), why, printable(why.Detail(g.Example)))
			}
		}
	}
}
