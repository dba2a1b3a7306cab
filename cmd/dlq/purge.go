package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type purgeCommand struct {
	Chosen chosen      `embed:""`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// Run removes letters for good: those that were there when it began to count.
func (c *purgeCommand) Run(ctx context.Context, std streams) error {
	filter, err := c.Chosen.read(ctx, std)
	if err != nil {
		return err
	}
	link, err := std.connect(ctx, c.NATS, "purge")
	if err != nil {
		return err
	}
	defer link.close()
	before, err := link.letters.Extent(ctx)
	if err != nil {
		return err
	}
	through := before.Last
	if err := pin(ctx, link, &filter, through); err != nil {
		return err
	}
	groups, err := link.letters.Groups(ctx, filter, through)
	if err != nil {
		return err
	}
	total := preview(std.out, groups)
	if total == 0 {
		printf(std.out, "no letters%s\n", such(filter))
		return nil
	}
	if !c.Chosen.Yes {
		if err := confirm(ctx, std, fmt.Sprintf("Remove %s for good?", phrase.Plural(total, "letter"))); err != nil {
			return err
		}
	}
	if err := link.letters.IsOf(ctx, before); errors.Is(err, dlq.ErrAnew) {
		return fmt.Errorf("%w: nothing was removed", err)
	} else if err != nil {
		return err
	}
	bar := newBar(std.err, "purging", total)
	removed, err := link.letters.Purge(ctx, filter, through, bar.set)
	bar.end()
	printf(std.out, "%s removed\n", phrase.Plural(removed, "letter"))
	if removed < total && err == nil {
		printf(std.out, "%s had been removed by somebody else\n", phrase.Thousands(total-removed))
	}
	return err
}

// pin makes "the newest so many" mean those of now, also when others remove
// some of them while the question stands.
func pin(ctx context.Context, link *link, f *dlq.Filter, through uint64) error {
	if f.Limit == 0 {
		return nil
	}
	for l, err := range link.letters.Letters(ctx, *f, through, dlq.Headers) {
		if err != nil {
			return err
		}
		f.From = l.Seq // the oldest of them comes first
		break
	}
	f.Limit = 0
	return nil
}
