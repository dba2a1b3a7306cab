package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
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
		printf(out, "\n%s %s: %s\n", g.Provider, g.Code, orDash(printable(g.Reason)))
		if words := trialWords(g); words != "" {
			printf(out, "  %s\n", words)
		}
		for _, line := range outcomeLines(g) {
			printf(out, "  %s\n", line)
		}
	}
	printf(out, "\n%s: %s\n", plural(report.Matched, "letter"), strings.Join(totals(report.Totals), ", "))
	if report.NotRemoved > 0 {
		printf(out, "%s replayed and could not be removed: the next run recognises and removes them\n", thousands(report.NotRemoved))
	}
}

func trialWords(g replay.GroupReport) string {
	switch g.Trial {
	case replay.Passed:
		return fmt.Sprintf("trial passed: %d replayed, none died", g.Tried)
	case replay.Failed:
		return fmt.Sprintf("TRIAL FAILED: %d replayed, %d died again (%s)", g.Tried, g.Died, printable(g.DiedOf))
	case replay.Open:
		return fmt.Sprintf("trial without an outcome: %d replayed, %d still wait", g.Tried, g.Waiting)
	}
	return ""
}

func outcomeLines(g replay.GroupReport) []string {
	var lines []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			lines = append(lines, thousands(n)+" "+fmt.Sprintf(format, args...))
		}
	}
	add(g.Delivered, "delivered")
	add(g.Died, "died again: %s", printable(g.DiedOf))
	add(g.Erased, "erased meanwhile")
	add(g.Waiting, "wait in the stream and go on without us")
	add(g.Already, "replayed by another run, or by one that was cut off")
	add(g.Gone, "removed by somebody else")
	for _, why := range replay.Whys() {
		add(g.Left[why], "left: %s%s", why, example(why, g.Example))
	}
	return lines
}

func totals(t replay.Totals) []string {
	parts := []string{thousands(t.Replayed) + " replayed"}
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, thousands(n)+" "+what)
		}
	}
	var of []string
	for _, o := range []struct {
		n    int
		what string
	}{{t.Delivered, "delivered"}, {t.Died, "died again"}, {t.Erased, "erased"}, {t.Waiting, "waiting"}} {
		if o.n > 0 {
			of = append(of, thousands(o.n)+" "+o.what)
		}
	}
	if len(of) > 0 {
		parts[0] += " (" + strings.Join(of, ", ") + ")"
	}
	add(t.Already, "replayed before or by another run")
	add(t.Gone, "removed by somebody else")
	return append(parts, thousands(t.Left)+" left")
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
	text := progressText(p)
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

// progressText is a line such as "replay: 120 delivered, 3 died again, 40
// waiting".
func progressText(p replay.Progress) string {
	parts := []string{fmt.Sprintf("%s: %s delivered, %s died again, %s waiting", p.Phase, thousands(p.Delivered), thousands(p.Died), thousands(p.Waiting))}
	for _, provider := range slices.Sorted(maps.Keys(p.Ahead)) {
		switch n := p.Ahead[provider]; {
		case n < 0:
			parts = append(parts, "no worker has ever run for "+provider)
		case n > 0:
			parts = append(parts, fmt.Sprintf("about %s ahead at %s", plural(n, "event"), provider))
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(p.Yielding)) {
		parts = append(parts, fmt.Sprintf("yielding to live events, which wait %s for %s", p.Yielding[provider].Round(100*time.Millisecond), provider))
	}
	return strings.Join(parts, "; ")
}
