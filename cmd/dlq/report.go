package main

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// sorted puts the largest group first.
func sorted[T any](groups []T, of func(T) dlq.Group) []T {
	list := slices.Clone(groups)
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(of(b).Count, of(a).Count) })
	return list
}

// printReport tells what became of every letter, by group and in sum.
func printReport(out io.Writer, report replay.Report) {
	groups := sorted(report.Groups, func(g replay.GroupReport) dlq.Group { return dlq.Group{Count: g.Matched} })
	for _, g := range groups {
		printf(out, "\n%s %s: %s\n", printable(g.Provider), printable(g.Code), orDash(printable(g.Reason)))
		if words := g.TrialWords(); words != "" {
			printf(out, "  %s\n", printable(words))
		}
		for _, line := range g.Lines(replay.Why.String) {
			printf(out, "  %s\n", printable(line.Words))
		}
	}
	printf(out, "\n%s\n", report.Words())
	if report.NotRemoved > 0 {
		printf(out, "%s replayed and could not be removed: the next run recognises and removes them\n", phrase.Thousands(report.NotRemoved))
	}
}

// plainEvery is how often a run without a terminal says how far it is.
const plainEvery = 5 * time.Second

// display shows how far a replay is: a bar on a terminal, else a line now and
// then. It belongs to one goroutine at a time.
type display struct {
	out   io.Writer
	bar   *bar
	total int
	last  time.Time
	phase replay.Phase
}

func newDisplay(out io.Writer, total int) *display {
	return &display{out: out, bar: newBar(out, "replaying", total), total: total, last: time.Now()}
}

func (d *display) progress(p replay.Progress) {
	text := p.Words()
	if d.bar.drawn != nil {
		d.bar.describe(text)
		d.bar.set(min(p.Delivered+p.Died+p.Erased, d.total))
		return
	}
	if p.Phase != d.phase || time.Since(d.last) >= plainEvery {
		if d.phase != "" || len(p.Ahead) > 0 || p.Replayed > 0 { // not before there is something to say
			printf(d.out, "%s\n", text)
		}
		d.phase, d.last = p.Phase, time.Now()
	}
}

func (d *display) end() { d.bar.end() }
