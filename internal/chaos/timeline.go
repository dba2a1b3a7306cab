package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline is what was done and seen, with times. It is safe for concurrent use.
type timeline struct {
	live io.Writer // also shown here; nil: nowhere

	mu       sync.Mutex
	began    time.Time
	lines    []string
	problems []string
}

func newTimeline(live io.Writer) *timeline { return &timeline{live: live, began: time.Now()} }

// note adds a line.
func (t *timeline) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(fmt.Sprintf(format, args...))
}

// wrong adds a line that fails the run.
func (t *timeline) wrong(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	t.problems = append(t.problems, text)
	t.add("WRONG: " + text)
}

func (t *timeline) add(text string) {
	line := fmt.Sprintf("%8.3f  %s", time.Since(t.began).Seconds(), text)
	t.lines = append(t.lines, line)
	if t.live != nil {
		_, _ = fmt.Fprintln(t.live, line)
	}
}
