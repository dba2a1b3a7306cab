package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
)

// filterFlags are the one language in which every verb is told which letters.
type filterFlags struct {
	Provider   string `choices:"clevertap,courier" placeholder:"NAME" help:"Letters of this provider."`
	Code       string `placeholder:"CODE" help:"Letters with this code, such as 531, http_400 or invalid_event."`
	Reason     string `placeholder:"TEXT" help:"Letters with this in the reason, or in their group's, whatever the case."`
	Since      string `placeholder:"TIME" help:"Letters of events that died since: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or how long ago: 90m, 24h, 7d."`
	Until      string `placeholder:"TIME" help:"Letters of events that died before; as --since."`
	Generation string `placeholder:"N" help:"Letters that were replayed so often: 0, 1-3 or 2+."`
	Token      string `placeholder:"-" help:"Letters of the token that is a line of standard input: must be -."`
	User       string `placeholder:"-" help:"Letters of the user_id that is a line of standard input (after the token): must be -."`
	Object     string `placeholder:"-" help:"Letters of the object_id that is a line of standard input (after the user_id): must be -."`

	filter dlq.Filter // what AfterApply has read
}

// AfterApply reads what kong's tags cannot say.
func (f *filterFlags) AfterApply(check *config.Check) error {
	written := dlq.FilterText{Provider: f.Provider, Code: f.Code, Reason: f.Reason, Since: f.Since, Until: f.Until, Generation: f.Generation}
	var wrong []dlq.Wrong
	f.filter, wrong = written.Filter(time.Now())
	for _, w := range wrong {
		check.Problem("--"+w.Field, config.Quote(w.Found), w.Allowed)
	}
	for flag, text := range map[string]string{"--token": f.Token, "--user": f.User, "--object": f.Object} {
		if text != "" && text != "-" {
			check.Problem(flag, "a value (not shown)", "must be -, and the value a line of standard input: others may see arguments")
		}
	}
	return nil
}

// selects reports whether any of the flags was given.
func (f *filterFlags) selects() bool {
	given := *f
	given.filter = dlq.Filter{}
	return given != filterFlags{}
}

// read completes the filter with the values from standard input.
func (f *filterFlags) read(ctx context.Context, std streams) (dlq.Filter, error) {
	for _, v := range []struct {
		flag, name string
		into       *string
	}{{f.Token, "token", &f.filter.Token}, {f.User, "user_id", &f.filter.User}, {f.Object, "object_id", &f.filter.Object}} {
		if v.flag == "" {
			continue
		}
		value, err := secretLine(ctx, std, v.name)
		if err != nil {
			return dlq.Filter{}, err
		}
		*v.into = value
	}
	return f.filter, nil
}

// secretLine reads one line and does not show it.
func secretLine(ctx context.Context, std streams, name string) (string, error) {
	var line string
	var err error
	if file, ok := std.stdin.(*os.File); ok && terminal.Is(file) {
		printf(std.err, "%s: ", name)
		line, err = unshown(ctx, int(file.Fd()))
		printf(std.err, "\n")
	} else {
		line, err = std.line(ctx)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("standard input: %w", err)
		}
		return "", fmt.Errorf("standard input: no %s in it", name)
	}
	return line, nil
}

// unshown reads a line from a terminal that does not show it, and leaves the
// terminal as it was also when the wait is ended.
func unshown(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	text, err := wait(ctx, func() (string, error) {
		text, err := term.ReadPassword(terminal)
		return string(text), err
	})
	if ctx.Err() != nil {
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
	return text, err
}
