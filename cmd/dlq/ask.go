package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
)

// chosen is what every verb that changes something needs: a filter, or --all.
type chosen struct {
	Filter filterFlags `embed:"" group:"Which letters"`
	All    bool        `group:"Which letters" help:"All letters; needed where no filter is given."`
	Limit  int         `group:"Which letters" default:"0" min:"0" help:"Of these the newest so many; 0 is all."`
	Yes    bool        `help:"Do not ask."`
}

// AfterApply refuses to guess.
func (c *chosen) AfterApply(check *config.Check) error {
	if !c.All && !c.Filter.selects() {
		check.Problem("--all", "not set and there is no filter", "must be given, or a filter such as --code or --provider")
	}
	return nil
}

// read is the filter with its limit.
func (c *chosen) read(ctx context.Context, std streams) (dlq.Filter, error) {
	filter, err := c.Filter.read(ctx, std)
	filter.Limit = c.Limit
	return filter, err
}

// confirm asks, and takes nothing but a yes.
func confirm(ctx context.Context, std streams, question string) error {
	printf(std.err, "%s [y/N] ", question)
	answer, err := std.line(ctx)
	if !terminal.Is(std.stdin) || ctx.Err() != nil {
		printf(std.err, "\n")
	}
	if ctx.Err() != nil {
		return errors.New("stopped, nothing was changed")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	case "":
		if errors.Is(err, io.EOF) {
			return errors.New("nobody answered, nothing was changed; --yes goes on without asking")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("standard input: %w", err)
	}
	return errors.New("not confirmed, nothing was changed")
}

// preview shows the counts by group, the largest first, a line each.
func preview(w io.Writer, groups []dlq.Group) (total int) {
	most := 0
	for _, g := range groups {
		total += g.Count
		most = max(most, g.Count)
	}
	for _, g := range groups {
		printf(w, "%*s  %s %s: %s\n", len(phrase.Thousands(most)), phrase.Thousands(g.Count), printable(g.Provider), printable(g.Code), orDash(printable(g.Reason)))
	}
	return total
}
