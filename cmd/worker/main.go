// Command worker brings token registrations from NATS JetStream to CleverTap
// and Courier. `worker run` is the service; `check` and `resume` are for
// operators, `health` is for the platform.
//
// It turns arguments, variables and signals into calls and errors into exit
// codes, and does nothing else.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/signals"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
)

func main() {
	// net/http writes there what it cannot make sense of, word for word.
	log.SetOutput(io.Discard)
	os.Exit(run(signals.End(), signals.Hangup(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// cli is every command of the worker; kong fills it.
type cli struct {
	Run    runCommand    `cmd:"" help:"Deliver events until told to stop."`
	Check  checkCommand  `cmd:"" help:"Look at broker, streams, consumers, holds and credentials, a line a finding; exit 1 when something would not work."`
	Resume resumeCommand `cmd:"" help:"End a provider's hold now."`
	Health healthCommand `cmd:"" help:"Ask the worker on this host how it is; exit 1 when it is not well. For health checks."`
}

// streams are what a command reads and writes; env is the environment as
// os.Environ gives it.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	hangups  <-chan os.Signal // each says: read the files again
}

func run(ctx context.Context, hangups <-chan os.Signal, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	std := streams{stdin, stdout, stderr, env, hangups}
	command, code := config.Parse("worker", "Brings token registrations from NATS JetStream to CleverTap and Courier.", &cli{}, args, env, stdout, stderr)
	if command == nil {
		return code
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(std); err != nil {
		_, _ = fmt.Fprintln(stderr, "worker:", err)
		return 1
	}
	return 0
}

type runCommand struct {
	config.Worker `embed:""`
	Force         bool `help:"Also lower replicas and ages of streams that exist."`
}

// Run is the service.
func (c *runCommand) Run(ctx context.Context, std streams) error {
	bound(std.env)
	worker := app.New(c.Worker, c.Force, ops.NewLogger(std.err, c.Log.Level, c.Log.Format, terminal.Is(std.err)))
	worker.RereadAt(std.hangups)
	return worker.Run(ctx)
}

// bound lets the garbage collector run less often while the heap is small, and as
// often as it takes to keep the process near 40 MiB, unless GOGC or GOMEMLIMIT
// say otherwise.
func bound(env []string) {
	given := func(name string) bool {
		return slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	}
	if !given("GOGC") {
		debug.SetGCPercent(150)
	}
	if !given("GOMEMLIMIT") {
		debug.SetMemoryLimit(32 << 20)
	}
}
