package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type showCommand struct {
	ID     string      `arg:"" help:"The letter's Dlq-Id, as dlq list shows it."`
	Reveal bool        `help:"Show the event and the app's headers in full, which are personal."`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// Run shows every letter of the id; one as a rule.
func (c *showCommand) Run(ctx context.Context, std streams) error {
	if c.ID == "" { // which would be every letter's
		return errors.New("the id is empty; it must be a letter's Dlq-Id, as dlq list shows it")
	}
	link, err := std.connect(ctx, c.NATS, "show")
	if err != nil {
		return err
	}
	defer link.close()
	found, err := link.letters.Find(ctx, c.ID)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no letter has the id %s: it was replayed, purged or has expired", config.Quote(c.ID))
	}
	veil := dlq.NewVeil(c.Reveal)
	for i, l := range found {
		if i > 0 {
			printf(std.out, "\n")
		}
		printLetter(std.out, l, veil, time.Now())
	}
	if len(found) > 1 {
		printf(std.err, "%d letters of this id: the older ones are leftovers of replays that were cut off; the next `dlq replay` removes them\n", len(found))
	}
	return nil
}

func printLetter(out io.Writer, l *dlq.Stored, veil *dlq.Veil, now time.Time) {
	meaning := dlq.Explain(l.Provider, l.Code)
	line := func(name, format string, args ...any) {
		printf(out, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	line("letter", "%s", printable(l.ID))
	line("provider", "%s", printable(l.Provider))
	line("code", "%s", printable(l.Code))
	line("reason", "%s", printable(l.Reason))
	if l.Status != 0 {
		line("HTTP status", "%d", l.Status)
	}
	line("means", "%s", printable(meaning.Means))
	line("cure", "%s", printable(meaning.Cure))
	line("died", "%s (%s)", phrase.When(l.FailedAt), phrase.Ago(l.FailedAt, now))
	if !l.FirstFailedAt.Equal(l.FailedAt) {
		line("first died", "%s (%s)", phrase.When(l.FirstFailedAt), phrase.Ago(l.FirstFailedAt, now))
	}
	line("replayed", "%s%s", phrase.Times(l.Generation), trials(l.Trials))
	line("stands at", "%s, sequence %d", dlq.Stream, l.Seq)
	line("came from", "%s, sequence %d", printable(l.OriginStream), l.OriginSeq)
	printf(out, "\nhistory\n")
	for _, death := range l.History {
		printf(out, "  %s  died of %s\n", phrase.When(death.At), printable(death.Code))
		if len(death.Edited) > 0 {
			printf(out, "  %-20s  then changed: %s\n", "", printable(strings.Join(death.Edited, ", ")))
		}
	}
	if names := l.EventHeaders(); len(names) > 0 {
		printf(out, "\nheaders of the event's message\n")
		for _, name := range names {
			for _, value := range l.Header[name] {
				printf(out, "  %s: %s\n", printable(veil.HeaderName(name)), printable(veil.Value(value)))
			}
		}
	}
	printf(out, "\nevent (%d bytes)\n", len(l.Body))
	for text := range strings.Lines(veil.Body(l.Body)) {
		printf(out, "  %s\n", printableLine(text))
	}
	if !veil.Revealing() {
		printf(out, "\npersonal values are hashes, the same value the same hash; --reveal shows them\n")
	}
}

// printableLine is printable for text that is laid out with tabs.
func printableLine(text string) string {
	text = strings.TrimRight(text, "\r\n")
	bare := strings.TrimLeft(text, "\t")
	return strings.Repeat("  ", len(text)-len(bare)) + printable(bare)
}

func trials(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %s since as a trial, which does not count", phrase.Times(n))
}
