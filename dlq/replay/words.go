package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// TrialWords say what the trial came to; empty without one.
func (g GroupReport) TrialWords() string {
	switch g.Trial {
	case Passed:
		return fmt.Sprintf("trial passed: %d replayed, none died", g.Tried.Replayed)
	case Failed:
		return fmt.Sprintf("TRIAL FAILED: %d replayed, %d died again (%s)", g.Tried.Replayed, g.Tried.Died, g.DiedOf)
	case Open:
		if g.Tried.Replayed == 0 {
			return "no trial: the broker took none of it"
		}
		return fmt.Sprintf("trial without an outcome: %d replayed, %d still wait", g.Tried.Replayed, g.Tried.Waiting)
	}
	return ""
}

// Line is a sentence about some letters of a group, such as "12 delivered".
type Line struct {
	Good  bool // they were delivered
	Words string
}

// Lines say what became of the group's letters beside its trial. The caller says
// why some are left: what helps differs between a command line and a page.
func (g GroupReport) Lines(left func(Why) string) []Line {
	var lines []Line
	add := func(n int, format string, args ...any) {
		if n > 0 {
			lines = append(lines, Line{Words: phrase.Thousands(n) + " " + fmt.Sprintf(format, args...)})
		}
	}
	if g.Delivered > 0 {
		lines = append(lines, Line{true, phrase.Thousands(g.Delivered) + " delivered"})
	}
	if g.Trial != Failed { // else TrialWords have it
		add(g.Died, "died again: %s", g.DiedOf)
	}
	add(g.Erased, "erased meanwhile")
	add(g.Waiting, "wait in the stream and go on without us")
	add(g.Already, "replayed by another run, or by one that was cut off")
	add(g.Gone, "removed by somebody else")
	for _, why := range Whys() {
		add(g.Left[why], "left: %s%s", left(why), why.Detail(g.Example))
	}
	return lines
}

// Examples say of a group what is wrong with one that is Invalid or Malformed, or
// that the broker refused. They name the field, and no value.
type Examples [whys]string

// Detail adds what is wrong.
func (w Why) Detail(of Examples) string {
	if of[w] == "" {
		return ""
	}
	return " (" + of[w] + ")"
}

// Words are a line such as "12 letters: 9 replayed (9 delivered), 3 left".
func (t Totals) Words() string {
	parts := []string{phrase.Thousands(t.Replayed) + " replayed"}
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, phrase.Thousands(n)+" "+what)
		}
	}
	var of []string
	for _, o := range []struct {
		n    int
		what string
	}{{t.Delivered, "delivered"}, {t.Died, "died again"}, {t.Erased, "erased"}, {t.Waiting, "waiting"}} {
		if o.n > 0 {
			of = append(of, phrase.Thousands(o.n)+" "+o.what)
		}
	}
	if len(of) > 0 {
		parts[0] += " (" + strings.Join(of, ", ") + ")"
	}
	add(t.Already, "replayed before or by another run")
	add(t.Gone, "removed by somebody else")
	parts = append(parts, phrase.Thousands(t.Left)+" left")
	return phrase.Plural(t.Matched, "letter") + ": " + strings.Join(parts, ", ")
}

// Words are a line such as "replay: 120 delivered, 3 died again, 40 waiting".
func (p Progress) Words() string {
	parts := []string{fmt.Sprintf("%s: %s delivered, %s died again, %s waiting", p.Phase,
		phrase.Thousands(p.Delivered), phrase.Thousands(p.Died), phrase.Thousands(p.Waiting))}
	for _, provider := range slices.Sorted(maps.Keys(p.Ahead)) {
		switch n := p.Ahead[provider]; {
		case n < 0:
			parts = append(parts, "no worker has ever run for "+provider)
		case n > 0:
			parts = append(parts, fmt.Sprintf("about %s ahead at %s", phrase.Plural(n, "event"), provider))
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(p.Yielding)) {
		parts = append(parts, fmt.Sprintf("yielding to live events, which wait %s for %s", p.Yielding[provider].Round(100*time.Millisecond), provider))
	}
	return strings.Join(parts, "; ")
}
