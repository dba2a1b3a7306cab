package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	if c.Output != nil && (*c.Output == "" || *c.Output == "-") {
		check.Problem("--output", config.Quote(*c.Output), "must be a new file; without it the letters go to standard output")
	}
	return nil
}

// Run writes a line of JSON a letter, oldest first, as `publisher import`
// takes it. The letters stay.
func (c *exportCommand) Run(ctx context.Context, std streams) error {
	filter, err := c.Filter.read(ctx, std)
	if err != nil {
		return err
	}
	filter.Limit = c.Limit
	link, err := std.connect(ctx, c.NATS, "export")
	if err != nil {
		return err
	}
	defer link.close()
	through, err := link.letters.Last(ctx)
	if err != nil {
		return err
	}
	n := 0
	write := func(out io.Writer) (err error) {
		n, err = link.letters.Export(ctx, filter, through, out, func(int) {})
		if err != nil && ctx.Err() != nil {
			err = errors.New("stopped")
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", phrase.Plural(n, "letter"), err)
		}
		return nil
	}
	if c.Output == nil {
		err = write(std.out)
	} else {
		err = newFile(*c.Output, write)
	}
	if err != nil {
		return err
	}
	printf(std.err, "%s exported, with all that is personal in them; they stay in the stream. `publisher import` puts them back, each to its own provider\n", phrase.Plural(n, "letter"))
	return nil
}

// newFile makes a file of what is written, for its owner only. Until it is
// whole it has another name, since any part of it would look whole, too; when
// the rest does not come, nothing is left of it.
func newFile(name string, write func(io.Writer) error) error {
	if err := isFree(name); err != nil {
		return err
	}
	part := name + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: there is such a file already: an unfinished export, of a run that was killed or still goes on; remove it if none does, for it is full of personal data", part)
	}
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync() // a purge may follow
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = isFree(name)
	}
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s was not made: %w", name, err), os.Remove(part))
	}
	return nil
}

// isFree keeps a rename from replacing a file.
func isFree(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s: there is such a file already", name)
	}
	return nil
}
