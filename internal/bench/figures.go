package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The goals of DESIGN 1.8.
const (
	cpuGoal    = 1.5 // times the loop's CPU a token
	memoryGoal = 30  // MiB at the most
)

// figures are what one delivery of the backlog cost.
type figures struct {
	tokens   int           // delivered, over all providers
	took     time.Duration // from the first call's arrival to the last, at the provider
	cpu      time.Duration // user and system, from start to end of the process
	peak     int64         // KiB, the high-water mark of resident memory; 0 when it could not be read
	calls    int
	repeated int // tokens that came more than once
}

func (f *figures) rate() float64       { return float64(f.tokens) / f.took.Seconds() }
func (f *figures) cpuMillion() float64 { return f.cpu.Seconds() / float64(f.tokens) * 1e6 }
func (f *figures) peakMiB() float64    { return float64(f.peak) / 1024 }

// median takes each figure's own median.
func median(runs []figures) figures {
	m := runs[0]
	m.took, m.cpu, m.peak = middle(runs, func(f figures) time.Duration { return f.took }),
		middle(runs, func(f figures) time.Duration { return f.cpu }), middle(runs, func(f figures) int64 { return f.peak })
	m.calls, m.repeated = middle(runs, func(f figures) int { return f.calls }), middle(runs, func(f figures) int { return f.repeated })
	return m
}

func middle[T int | int64 | time.Duration](runs []figures, of func(figures) T) T {
	values := make([]T, len(runs))
	for i, f := range runs {
		values[i] = of(f)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// verdict is one goal and whether it was met.
type verdict struct {
	text string
	met  bool
}

func cpuVerdict(provider string, worker, loop figures) verdict {
	ratio := worker.cpuMillion() / loop.cpuMillion()
	return verdict{fmt.Sprintf("%s: CPU a token is %.2f × the loop's; the goal is at most %.1f ×", provider, ratio, cpuGoal), ratio <= cpuGoal}
}

func memoryVerdict(worker figures) verdict {
	if worker.peak == 0 {
		return verdict{fmt.Sprintf("peak memory could not be read (this needs /proc); the goal is under %d MiB", memoryGoal), false}
	}
	return verdict{fmt.Sprintf("peak memory with a backlog of %d events is %.1f MiB; the goal is under %d MiB",
		worker.tokens/2, worker.peakMiB(), memoryGoal), worker.peakMiB() < memoryGoal}
}

// printVerdicts reports whether any goal was missed.
func printVerdicts(out io.Writer, verdicts []verdict) (missed bool) {
	_, _ = fmt.Fprintln(out)
	for _, v := range verdicts {
		word := "met   "
		if !v.met {
			word, missed = "MISSED", true
		}
		_, _ = fmt.Fprintf(out, "%s  %s\n", word, v.text)
	}
	return missed
}

// table prints figures in columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, title string) *table {
	t := &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	_, _ = fmt.Fprintf(out, "\n%s\n", title)
	t.line("", "tokens/s", "CPU s a million tokens", "peak MiB", "calls", "repeated tokens")
	return t
}

func (t *table) line(cells ...string) {
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t")+"\t")
}

func (t *table) row(name string, f figures) {
	peak := "unknown"
	if f.peak > 0 {
		peak = fmt.Sprintf("%.1f", f.peakMiB())
	}
	t.line(name, fmt.Sprintf("%.0f", f.rate()), fmt.Sprintf("%.2f", f.cpuMillion()), peak, fmt.Sprint(f.calls), fmt.Sprint(f.repeated))
}

func (t *table) ratios(worker, loop figures) {
	peak := "unknown"
	if loop.peak > 0 {
		peak = fmt.Sprintf("%.2f", float64(worker.peak)/float64(loop.peak))
	}
	t.line("worker / loop", fmt.Sprintf("%.2f", worker.rate()/loop.rate()), fmt.Sprintf("%.2f", worker.cpuMillion()/loop.cpuMillion()), peak, "", "")
}

func (t *table) end() error { return t.w.Flush() }

// machine says what the figures were taken on.
func machine() string {
	text := fmt.Sprintf("%s %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return text
	}
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return text + ", " + strings.TrimSpace(model)
		}
	}
	return text
}
