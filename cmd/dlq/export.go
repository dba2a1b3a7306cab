package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type exportCommand struct {
	Filter filterFlags `embed:"" group:"Which letters"`
	Limit  int         `group:"Which letters" default:"0" min:"0" help:"Of these the newest so many; 0 is all."`
	Output *string     `short:"o" placeholder:"FILE" help:"A new file, which only its owner may read, instead of standard output."`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// AfterApply checks what kong's tags cannot say.
func (c *exportCommand) AfterApply(check *config.Check) error {
	if c.Output != nil && *c.Output == "" {
		check.Problem("--output", `""`, "must be a new file; without it the letters go to standard output")
	}
	return nil
}

// Run writes a line of JSON a letter, oldest first, as `publisher import`
// takes it. The letters stay.
func (c *exportCommand) Run(ctx context.Context, std streams) (err error) {
	filter, err := c.Filter.read(ctx, std)
	if err != nil {
		return err
	}
	filter.Limit = c.Limit
	d, err := std.connect(ctx, c.NATS, "export")
	if err != nil {
		return err
	}
	defer d.close()
	through, err := d.letters.Last(ctx)
	if err != nil {
		return err
	}
	out := std.out
	if c.Output != nil {
		file, err := os.OpenFile(*c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: there is such a file already", *c.Output)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	n, err := d.letters.Export(ctx, filter, through, out, func(int) {})
	if err != nil {
		return fmt.Errorf("after %s: %w", phrase.Plural(n, "letter"), err)
	}
	printf(std.err, "%s exported, with all that is personal in them; they stay in the stream. `publisher import` puts them back, each to its own provider\n", phrase.Plural(n, "letter"))
	return nil
}
