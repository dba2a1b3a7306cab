// Command chaos proves, under faults drawn from a seed, that the fleet loses
// nothing and never has more CleverTap calls open than it may: real worker
// processes, a JetStream cluster of three server processes, a proxy on every
// line between a pod and what it talks to, providers that misbehave by turns.
// It exits 1 when a promise was broken, and prints the seed and the timeline.
//
// It knows what goes in (its own publisher's events), what comes out (an
// observer at the providers, the streams themselves) and how to do harm; it
// refuses to know how a worker works. It owns the processes it starts and ends
// them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if config := os.Getenv(nodeVariable); config != "" {
		os.Exit(playNode(config, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal means now
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// settings are the flags, and what follows from them.
type settings struct {
	seed     uint64
	duration time.Duration // of publishing and of faults
	patience time.Duration // for the rest to be delivered after that
	ackWait  time.Duration // the consumers'; 0: as declared
	calm     bool          // no faults
	pods     int
	rate     int    // events published a second
	worker   string // path of the binary; built when empty
	dir      string // for logs and streams; a temporary one when empty
	live     bool   // show the timeline while it happens
	debug    bool   // pods log at level debug
}

// shortest is the time in which every kind of fault finds room.
const shortest = 10 * time.Second

func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	s, code := parse(args, env, stderr)
	if code >= 0 {
		return code
	}
	_, _ = fmt.Fprintf(stdout, "chaos: seed %d, %s, %d pods, %d events/s\n", s.seed, s.duration, s.pods, s.rate)
	v, err := play(ctx, s, stderr)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "chaos: seed %d: %v\n", s.seed, err)
		return 1
	}
	v.print(stdout)
	if len(v.problems) == 0 {
		return 0
	}
	v.printFailure(stderr, s)
	return 1
}

// parse returns the exit code when there is nothing to run, else -1.
func parse(args, env []string, stderr io.Writer) (settings, int) {
	s := settings{seed: rand.Uint64() >> 32, duration: time.Minute}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		var err error
		switch {
		case value == "":
		case name == "SEED":
			s.seed, err = strconv.ParseUint(value, 10, 64)
		case name == "DURATION":
			s.duration, err = time.ParseDuration(value)
		}
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "chaos: %s: found %q, want a number (SEED) or a duration such as 60s (DURATION)\n", name, value)
			return s, 2
		}
	}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&s.seed, "seed", s.seed, "what the schedule of faults is drawn from; also $SEED; any when not given")
	flags.DurationVar(&s.duration, "duration", s.duration, "time of publishing and of faults; also $DURATION")
	flags.DurationVar(&s.patience, "patience", 2*time.Minute, "most time for the rest to be delivered after that")
	flags.DurationVar(&s.ackWait, "ack-wait", 0, "the consumers' ack wait; the declared one when not given. A short one hides what comes again only after it")
	flags.BoolVar(&s.calm, "calm", false, "no faults: then nothing may come twice, or late")
	flags.IntVar(&s.pods, "pods", 4, "worker processes")
	flags.IntVar(&s.rate, "rate", 200, "events published a second")
	flags.StringVar(&s.worker, "worker", "", "worker `binary`; built when not given")
	flags.StringVar(&s.dir, "dir", "", "`folder` for logs and streams, kept; a temporary one when not given, kept after a failure")
	flags.BoolVar(&s.live, "v", false, "show the timeline while it happens")
	flags.BoolVar(&s.debug, "debug", false, "let the pods log at level debug")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s, 0
		}
		return s, 2
	}
	if flags.NArg() > 0 || s.duration < shortest || s.pods < 1 || s.rate < 1 || s.patience <= 0 {
		_, _ = fmt.Fprintf(stderr, "chaos: -duration must be %s or more, -pods 1 or more, -rate and -patience above 0, and nothing else is taken\n", shortest)
		return s, 2
	}
	return s, -1
}
