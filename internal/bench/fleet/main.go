// Command fleet measures how well several worker processes use one account's
// cap: tokens a second as a share of cap x 100 / call duration, the most calls
// open at once, calls refused for being too many, records a call, and how long
// a trickle of events takes from registration to acceptance.
//
// It knows how to start workers and what a provider sees of them; it refuses
// to know how they share the cap. It owns the broker, the provider and the
// worker processes that it starts, and ends them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// The account's limits, CleverTap's own.
const (
	limit = 3
	batch = 100
)

// batchWait is the worker's default CLEVERTAP_BATCH_WAIT.
const batchWait = 500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type settings struct {
	seconds int
	rate    int
	plot    string
	worker  string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.seconds, "seconds", 15, "how long each backlog keeps the fleet busy at the limit")
	flags.IntVar(&s.rate, "rate", 50, "events a second of the trickle")
	flags.StringVar(&s.plot, "plot", "", "also draw the shares into this SVG `file`")
	flags.StringVar(&s.worker, "worker", "", "worker `binary` to measure; built when not given")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 || s.seconds < 1 || s.rate < 1 {
		_, _ = fmt.Fprintln(stderr, "fleet: -seconds and -rate must be 1 or more, and nothing else is taken")
		return 2
	}
	missed, err := measureAll(ctx, s, stdout)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "fleet:", err)
		return 1
	}
	for _, m := range missed {
		_, _ = fmt.Fprintln(stdout, "MISSED:", m)
	}
	if len(missed) > 0 {
		return 1
	}
	_, _ = fmt.Fprintln(stdout, "every goal is met")
	return 0
}

// measureAll prints a line a measurement and returns the goals missed.
func measureAll(ctx context.Context, s settings, out io.Writer) (missed []string, err error) {
	dir, err := os.MkdirTemp("", "tokenrelay-fleet-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if s.worker == "" {
		s.worker = filepath.Join(dir, "worker")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.worker, "github.com/tokenrelay/tokenrelay/cmd/worker")
		if text, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the worker: %w: %s", err, text)
		}
	}
	_, _ = fmt.Fprintf(out, "%s, %d cores, cap %d\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), limit)
	var shares []share
	_, _ = fmt.Fprintln(out, "backlog    call as the    processes  tokens/s  share of  most open  429  records  repeated")
	_, _ = fmt.Fprintln(out, "           worker sees it                      the limit    at once       a call")
	for _, call := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond} {
		for _, processes := range []int{1, 2, 4, 8} {
			b, err := measureBacklog(ctx, dir, s, call, processes)
			if err != nil {
				return nil, fmt.Errorf("%d processes, calls of %s: %w", processes, call, err)
			}
			_, _ = fmt.Fprintf(out, "%7d    %10.1f ms  %9d  %8.0f  %7.1f %%  %9d  %3d  %7.1f  %8d\n", b.events,
				float64(b.duration.Microseconds())/1000, processes, b.rate, 100*b.share(), b.seen.peak, b.seen.throttled, b.seen.recordsACall(), b.seen.repeated)
			missed = append(missed, b.missed(call, processes)...)
			shares = append(shares, share{call, processes, b.share()})
		}
	}
	_, _ = fmt.Fprintf(out, "\n%d events/s, 4 processes, from registration to acceptance\n", s.rate)
	for _, call := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond} {
		t, err := measureTrickle(ctx, dir, s, call)
		if err != nil {
			return nil, fmt.Errorf("trickle, calls of %s: %w", call, err)
		}
		_, _ = fmt.Fprintf(out, "calls of %s: p50 %d ms, p99 %d ms (goal: under %d ms), records a call %.1f, most open at once %d\n", call,
			t.at(0.50).Milliseconds(), t.at(0.99).Milliseconds(), t.goal.Milliseconds(), t.seen.recordsACall(), t.seen.peak)
		missed = append(missed, t.missed(call)...)
	}
	if s.plot != "" {
		if err := os.WriteFile(s.plot, []byte(draw(shares)), 0o644); err != nil {
			return nil, err
		}
	}
	return missed, nil
}
