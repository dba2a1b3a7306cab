package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type groupsCommand struct {
	Filter filterFlags `embed:"" group:"Which letters"`
	Limit  int         `min:"0" default:"0" help:"Of the newest so many letters; 0 is all."`
	JSON   bool        `name:"json" help:"A line of JSON each."`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// Run shows the groups, the largest first.
func (c *groupsCommand) Run(ctx context.Context, std streams) error {
	filter, err := c.Filter.read(ctx, std)
	if err != nil {
		return err
	}
	link, err := std.connect(ctx, c.NATS, "groups")
	if err != nil {
		return err
	}
	defer link.close()
	filter.Limit = c.Limit
	groups, err := link.letters.Groups(ctx, filter, dlq.End)
	if err != nil {
		return err
	}
	if c.JSON {
		return groupLines(std.out, groups)
	}
	if len(groups) == 0 {
		printf(std.out, "no letters%s\n", such(filter))
		return nil
	}
	printGroups(std.out, groups, time.Now())
	return nil
}

// groupLine is a group as a line of `dlq groups --json` has it.
type groupLine struct {
	Provider    string      `json:"provider"`
	Code        string      `json:"code"`
	Reason      string      `json:"reason"`
	Count       int         `json:"count"`
	FirstSeen   time.Time   `json:"first_seen"`
	LastSeen    time.Time   `json:"last_seen"`
	Generations map[int]int `json:"generations"`
	Newest      string      `json:"newest"`
	Means       string      `json:"means"`
	Cure        string      `json:"cure"`
}

func groupLines(out io.Writer, groups []dlq.Group) error {
	for _, g := range groups {
		m := dlq.Explain(g.Provider, g.Code)
		line, err := jsonLine(groupLine{g.Provider, g.Code, g.Reason, g.Count, g.First.UTC(), g.Last.UTC(), g.Generations, g.Newest, m.Means, m.Cure})
		if err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

const barWidth = 30

func printGroups(out io.Writer, groups []dlq.Group, now time.Time) {
	total, most := 0, 0
	for _, g := range groups {
		total += g.Count
		most = max(most, g.Count)
	}
	width := len(phrase.Thousands(most))
	printf(out, "%s in %s\n", phrase.Plural(total, "letter"), phrase.Plural(len(groups), "group"))
	for _, g := range groups {
		meaning := dlq.Explain(g.Provider, g.Code)
		bar := strings.Repeat("█", max(1, g.Count*barWidth/most))
		printf(out, "\n%*s  %-*s  %s %s\n", width, phrase.Thousands(g.Count), barWidth, bar, printable(g.Provider), printable(g.Code))
		for _, line := range []struct{ name, text string }{
			{"reason", printable(g.Reason)},
			{"died", died(g, now)},
			{"replayed", phrase.Generations(g.Generations)},
			{"means", printable(meaning.Means)},
			{"cure", printable(meaning.Cure)},
			{"see one", "dlq show " + shellWord(g.Newest)},
		} {
			printf(out, "%*s  %-8s  %s\n", width, "", line.name, line.text)
		}
	}
}

// shellWord is a text that a shell takes as one word: an id comes from outside,
// and is copied into a command line. What does not print cannot be typed.
func shellWord(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:._/@+,=-"
	if text = printable(text); text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func died(g dlq.Group, now time.Time) string {
	if g.First.Equal(g.Last) {
		return phrase.When(g.First) + " (" + phrase.Ago(g.First, now) + ")"
	}
	return fmt.Sprintf("from %s (%s) to %s (%s)", phrase.When(g.First), phrase.Ago(g.First, now), phrase.When(g.Last), phrase.Ago(g.Last, now))
}
