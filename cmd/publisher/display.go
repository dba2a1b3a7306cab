package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	barEvery   = 100 * time.Millisecond
	plainEvery = 5 * time.Second // a line of progress without a terminal
)

// display shows how far an import is: a bar on a terminal, else a line now and
// then. It belongs to one goroutine.
type display struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil without a terminal
	size  int64                    // of the input, -1 when unknown
	every time.Duration
	last  time.Time
	lines int64 // at last
}

func newDisplay(out io.Writer, terminal bool, size int64, now time.Time) *display {
	d := &display{out: out, size: size, every: plainEvery, last: now}
	if terminal {
		d.every = barEvery
		d.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription("importing"),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine
			progressbar.OptionShowBytes(true),
			progressbar.OptionClearOnFinish(),
		)
	}
	return d
}

// show is called at every line and every second; it prints seldom.
func (d *display) show(now time.Time, at position) {
	if now.Sub(d.last) < d.every {
		return
	}
	text := fmt.Sprintf("%d events, %d rejected", at.Counts.Stored+at.Counts.Duplicates, at.Counts.Rejected)
	if d.bar != nil {
		d.bar.Describe(text)
		_ = d.bar.Set64(at.Offset)
		d.last = now
		return
	}
	if d.size > 0 {
		text += fmt.Sprintf(", %d %%", at.Offset*100/d.size)
	}
	rate := float64(at.Line-d.lines) / now.Sub(d.last).Seconds()
	_, _ = fmt.Fprintf(d.out, "line %d: %s, %.0f lines/s\n", at.Line, text, rate)
	d.last, d.lines = now, at.Line
}

// note prints a line between.
func (d *display) note(text string) {
	d.end()
	_, _ = fmt.Fprintln(d.out, text)
}

// end makes room for what is printed next.
func (d *display) end() {
	if d.bar != nil {
		_ = d.bar.Clear()
	}
}
