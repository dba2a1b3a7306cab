package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tokenrelay/tokenrelay/internal/terminal"
)

// bar shows how far something is: on a terminal only, since elsewhere what
// follows says it all. It belongs to one goroutine.
type bar struct {
	drawn *progressbar.ProgressBar // nil without a terminal
}

func newBar(out io.Writer, what string, total int) *bar {
	if !terminal.Is(out) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b *bar) set(n int) {
	if b.drawn != nil {
		_ = b.drawn.Set(n)
	}
}

func (b *bar) describe(text string) {
	if b.drawn != nil {
		b.drawn.Describe(text)
	}
}

// end makes room for what is printed next.
func (b *bar) end() {
	if b.drawn != nil {
		_ = b.drawn.Clear()
	}
}
