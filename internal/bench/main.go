// Command bench measures what the worker costs against a featureless loop
// (package loop) that does nothing but move the same events: tokens a second,
// CPU a token and peak memory, side by side, in one run on one machine. It
// exits 1 when the worker misses a goal.
//
// It knows how to set the stage (a broker and a provider without latency, each
// a process of its own so that their CPU is nobody's) and how to measure a
// process; it refuses to know what a worker does inside. It owns the processes
// it starts and ends them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are the flags.
type settings struct {
	events       int
	rounds       int
	memoryEvents int
	judge        bool
	worker, loop string
}

// run is the bench, or one of the processes that it starts itself as.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && isRole(args[0]) {
		if err := play(args[0], args[1:], stdin, stdout); err != nil {
			_, _ = fmt.Fprintf(stderr, "bench %s: %v\n", args[0], err)
			return 1
		}
		return 0
	}
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.events, "events", 200_000, "events in the backlog whose delivery is timed")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of loop and worker; 0 leaves this part out")
	flags.IntVar(&s.memoryEvents, "memory-events", 1_000_000, "events in the backlog for peak memory; 0 leaves this part out")
	flags.BoolVar(&s.judge, "judge", true, "exit 1 when a goal is missed")
	flags.StringVar(&s.worker, "worker", "", "worker `binary` to measure; built when not given")
	flags.StringVar(&s.loop, "loop", "", "loop `binary` to measure against; built when not given")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 || s.events < 1 || s.rounds < 0 || s.memoryEvents < 0 {
		_, _ = fmt.Fprintln(stderr, "bench: -events must be 1 or more, -rounds and -memory-events 0 or more, and nothing else is taken")
		return 2
	}
	verdicts, err := measureAll(ctx, s, stdout)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if missed := printVerdicts(stdout, verdicts); missed && s.judge {
		return 1
	}
	return 0
}

// measureAll does both parts and prints their tables.
func measureAll(ctx context.Context, s settings, out io.Writer) ([]verdict, error) {
	dir, err := os.MkdirTemp("", "tokenrelay-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir, &s); err != nil {
		return nil, err
	}
	st, err := openStage(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer st.close()
	_, _ = fmt.Fprintf(out, "%s, %s\n", time.Now().Format(time.DateOnly), machine())

	var verdicts []verdict
	if s.rounds > 0 {
		if err := st.store(ctx, s.events, out); err != nil {
			return nil, err
		}
		for _, provider := range []string{"clevertap", "courier"} {
			found, err := compareCPU(ctx, st, provider, s, out)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, found)
		}
	}
	if s.memoryEvents > 0 {
		if err := st.store(ctx, s.memoryEvents, out); err != nil {
			return nil, err
		}
		found, err := compareMemory(ctx, st, contenders(s), out)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, found)
	}
	return verdicts, nil
}

// compareCPU lets the contenders deliver the backlog to one provider in turns,
// so that what changes on the machine meets both. An unmeasured turn each
// comes first.
func compareCPU(ctx context.Context, st *stage, provider string, s settings, out io.Writer) (verdict, error) {
	table := newTable(out, provider)
	both, runs := contenders(s), map[string][]figures{}
	for round := range s.rounds + 1 {
		for i := range both {
			c := both[(i+round)%len(both)]
			f, err := st.measure(ctx, c, provider)
			if err != nil {
				return verdict{}, err
			}
			if round > 0 {
				runs[c.name] = append(runs[c.name], f)
				table.row(fmt.Sprintf("%s, round %d", c.name, round), f)
			}
		}
	}
	loop, worker := median(runs["loop"]), median(runs["worker"])
	table.row("loop, median", loop)
	table.row("worker, median", worker)
	table.ratios(worker, loop)
	return cpuVerdict(provider, worker, loop), table.end()
}

// compareMemory lets each contender deliver the backlog to both providers.
func compareMemory(ctx context.Context, st *stage, both []contender, out io.Writer) (verdict, error) {
	table := newTable(out, "both providers at once")
	runs := map[string]figures{}
	for _, c := range both {
		f, err := st.measure(ctx, c, "clevertap", "courier")
		if err != nil {
			return verdict{}, err
		}
		runs[c.name] = f
		table.row(c.name, f)
	}
	table.ratios(runs["worker"], runs["loop"])
	return memoryVerdict(runs["worker"]), table.end()
}
