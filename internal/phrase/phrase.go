// Package phrase is how figures and times read to a person, the same in a
// terminal and in the console.
//
// It knows words; it refuses to know what is counted. It owns no goroutine.
package phrase

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Thousands writes 12345 as 12 345.
func Thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// Plural writes 1 letter, 2 letters.
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return Thousands(n) + " " + word + "s"
}

// Searched tells of messages that are no events, among which a person was
// looked for; nothing of none.
func Searched(n int) string {
	if n == 0 {
		return ""
	}
	if n == 1 {
		return "1 stored message could not be read as an event and was searched as text"
	}
	return Thousands(n) + " stored messages could not be read as events and were searched as text"
}

// Times is how often: never, once, twice, 3 times.
func Times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return Thousands(n) + " times"
}

// Generations reads "never: 30, once: 2, 3 times: 1".
func Generations(counts map[int]int) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, Times(n)+": "+Thousands(counts[n]))
	}
	return strings.Join(parts, ", ")
}

// When is a moment as people compare it.
func When(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// Ago is how long ago a moment was.
func Ago(t, now time.Time) string {
	if now.Before(t) {
		return "in the future"
	}
	return Span(now.Sub(t)) + " ago"
}

// Span is a length of time in the largest unit that says enough: 90s, 15m,
// 30h, 12d.
func Span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
