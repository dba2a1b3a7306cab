package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// progress is the live line of a load: a bar on a terminal, a plain line every
// other second elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil without a terminal
	total int
	next  time.Time
}

func newProgress(out io.Writer, terminal bool, total int) *progress {
	p := &progress{out: out, total: total}
	if terminal {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
	}
	return p
}

func (p *progress) update(report sandbox.Report, before baseline, stored, waiting int) {
	line := fmt.Sprintf("published %d  clevertap %d  courier %d  waiting %d", stored,
		report.CleverTap.Accepted-before.sandbox[event.CleverTap].Accepted,
		report.Courier.Accepted-before.sandbox[event.Courier].Accepted, waiting)
	if p.bar != nil {
		p.bar.Describe(line)
		_ = p.bar.Set(max(0, stored*len(event.Providers())-waiting))
		return
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(2 * time.Second)
		_, _ = fmt.Fprintln(p.out, line)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
