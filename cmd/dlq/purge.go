package main

import (
	"context"
	"fmt"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type purgeCommand struct {
	Chosen chosen      `embed:""`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// Run removes letters for good: those that were there when it began to count.
func (c *purgeCommand) Run(ctx context.Context, std streams) error {
	filter, err := c.Chosen.read(std)
	if err != nil {
		return err
	}
	d, err := std.connect(ctx, c.NATS, "purge")
	if err != nil {
		return err
	}
	defer d.close()
	through, err := d.letters.Last(ctx)
	if err != nil {
		return err
	}
	groups, err := d.letters.Groups(ctx, filter, through)
	if err != nil {
		return err
	}
	total := preview(std.out, groups)
	if total == 0 {
		printf(std.out, "no letters%s\n", such(filter))
		return nil
	}
	if !c.Chosen.Yes {
		if err := confirm(std, fmt.Sprintf("Remove %s for good?", phrase.Plural(total, "letter"))); err != nil {
			return err
		}
	}
	bar := newBar(std.err, "purging", total)
	removed, err := d.letters.Purge(ctx, filter, through, bar.set)
	bar.end()
	printf(std.out, "%s removed\n", phrase.Plural(removed, "letter"))
	if removed < total && err == nil {
		printf(std.out, "%s had been removed by somebody else\n", phrase.Thousands(total-removed))
	}
	return err
}
