// Command drill runs the shipped docker-compose.yml, unchanged, through faults:
// a worker killed, one cut off from the network, the broker started anew, a
// rolling deploy, and in a cluster a leader stopped and a node cut off. After
// each it takes the books and prints a line; it exits 1 when a promise was broken.
//
// It knows the Docker client and Compose by their command lines, what goes in (its
// own publisher's events and the stream's), and what comes out (the sandbox's
// records and the letters). It refuses to know how a worker works. Images that
// cannot be pulled it makes, under the names in the shipped files. It removes all
// that it made, after a failure, too, and owns the goroutines of a run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/signals"
)

func main() {
	os.Exit(run(signals.End(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// settings are the flags.
type settings struct {
	root    string // of the tree
	compose string // the tool; found when empty
	keep    bool   // images stay for the next run
	only    string // one part; both when empty
}

// The parts of a drill.
const (
	partSingle  = "single"
	partCluster = "cluster"
)

// cleaning is the time to remove what was made.
const cleaning = 3 * time.Minute

func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	s, code := parse(args, stderr)
	if code >= 0 {
		return code
	}
	d, err := newDrill(ctx, s, env, stdout)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "drill:", err)
		return 1
	}
	err = d.play(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("stopped: %w", cause)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if err = errors.Join(err, d.clean(ending)); err != nil {
		_, _ = fmt.Fprintln(stderr, "drill: FAILED:", err)
		return 1
	}
	d.say("passed, and all that it made is removed")
	return 0
}

// parse returns the exit code when there is nothing to run, else -1.
func parse(args []string, stderr io.Writer) (settings, int) {
	var s settings
	flags := flag.NewFlagSet("drill", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.root, "root", ".", "the `folder` with docker-compose.yml")
	flags.StringVar(&s.compose, "compose", "", "the Compose `tool`, such as docker-compose; docker compose or docker-compose, whichever there is, when not given")
	flags.BoolVar(&s.keep, "keep", false, "leave the images for the next run")
	flags.StringVar(&s.only, "only", "", "one `part`: single or cluster")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s, 0
		}
		return s, 2
	}
	if flags.NArg() > 0 || s.only != "" && s.only != partSingle && s.only != partCluster {
		_, _ = fmt.Fprintln(stderr, "drill: -only must be single or cluster, and nothing else is taken")
		return s, 2
	}
	return s, -1
}
