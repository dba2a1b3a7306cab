package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq/erase"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type eraseCommand struct {
	User   string        `placeholder:"-" help:"Whoever has the user_id that is a line of standard input: must be -."`
	Object string        `placeholder:"-" help:"Whoever has the object_id that is a line of standard input (after the user_id): must be -."`
	Wait   time.Duration `default:"10s" min:"0s" help:"How long to wait for events that a worker has in hand."`
	Yes    bool          `help:"Do not ask."`
	NATS   config.NATS   `embed:"" group:"The broker"`
}

// AfterApply refuses to guess, and to let arguments be seen.
func (c *eraseCommand) AfterApply(check *config.Check) error {
	for flag, text := range map[string]string{"--user": c.User, "--object": c.Object} {
		if text != "" && text != "-" {
			check.Problem(flag, "a value (not shown)", "must be -, and the value a line of standard input: others may see arguments")
		}
	}
	if c.User == "" && c.Object == "" {
		check.Problem("--user", "not set", "must be given, or --object")
	}
	return nil
}

// Run removes a person from both streams.
func (c *eraseCommand) Run(ctx context.Context, std streams) error {
	var person erase.Person
	for _, v := range []struct {
		flag, name string
		into       *string
	}{{c.User, "user_id", &person.User}, {c.Object, "object_id", &person.Object}} {
		if v.flag == "" {
			continue
		}
		value, err := secretLine(ctx, std, v.name)
		if err != nil {
			return err
		}
		*v.into = value
	}
	link, err := std.connect(ctx, c.NATS, "erase")
	if err != nil {
		return err
	}
	defer link.close()
	eraser, err := erase.New(ctx, link.js, link.letters, person)
	if err != nil {
		return err
	}
	eraser.Patience = c.Wait
	found, err := eraser.Look(ctx)
	if err != nil {
		return err
	}
	if found.Letters+found.Events == 0 {
		printf(std.out, "nothing is stored of this person\n")
		printSearched(std, found)
		return nil
	}
	printf(std.out, "of this person: %s and %s\n", phrase.Plural(found.Letters, "letter"), phrase.Plural(found.Events, "event"))
	printSearched(std, found)
	if !c.Yes {
		if err := confirm(ctx, std, "Erase them for good?"); err != nil {
			return err
		}
	}
	bar := newBar(std.err, "erasing", found.Letters+found.Events)
	done, err := eraser.Remove(ctx, func(n erase.Counts) { bar.set(n.Letters + n.Events) })
	bar.end()
	printErased(std, done)
	if err != nil {
		return err
	}
	if len(done.InHand) > 0 {
		return errors.New("not all of it could be taken back: run it again, for a letter may follow")
	}
	return nil
}

// printSearched tells of what had to be searched as text, where only looking
// oneself makes sure.
func printSearched(std streams, n erase.Counts) {
	if text := phrase.Searched(n.Searched); text != "" {
		printf(std.out, "%s\n", text)
	}
}

func printErased(std streams, done erase.Counts) {
	printf(std.out, "erased: %s and %s\n", phrase.Plural(done.Letters, "letter"), phrase.Plural(done.Events, "event"))
	for _, provider := range slices.Sorted(maps.Keys(done.Erased)) {
		n := done.Erased[provider]
		told := "a worker has counted them (events_total, outcome erased)"
		if done.Counted[provider] == 0 {
			told = "no worker confirmed that it counts them (events_total, outcome erased), for none runs or it may not be asked: this line is their record"
		}
		printf(std.out, "%s: %s had been waiting for it and will never reach it; %s\n", provider, phrase.Plural(n, "event"), told)
	}
	for _, provider := range slices.Sorted(maps.Keys(done.InHand)) {
		printf(std.out, "%s\n", fmt.Sprintf("%s: a worker has %s in hand and may still deliver them", provider, phrase.Plural(done.InHand[provider], "event")))
	}
}
