// Command worker brings token registrations from NATS JetStream to CleverTap
// and Courier. `worker run` is the service; `dev` is everything in one
// process; `check` and `resume` are for operators.
//
// It turns arguments, variables and signals into calls and errors into exit
// codes, and does nothing else.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/ops"
)

func main() {
	// net/http writes there what it cannot make sense of, word for word.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal means now
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// cli is every command of the worker; kong fills it.
type cli struct {
	Run    runCommand    `cmd:"" help:"Deliver events until told to stop."`
	Dev    devCommand    `cmd:"" help:"Everything in one process for trying it out: JetStream on disk, fake providers, the worker, the console. Loopback only."`
	Check  checkCommand  `cmd:"" help:"Look at broker, streams, consumers, holds and credentials, a line a finding; exit 1 when something would not work."`
	Resume resumeCommand `cmd:"" help:"End a provider's hold now."`
}

// streams are what a command reads and writes; env is the environment as
// os.Environ gives it.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      []string
}

func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	std := streams{stdin, stdout, stderr, env}
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
	return app.New(c.Worker, c.Force, logger(std.err, c.Log)).Run(ctx)
}

// bound lets the garbage collector run half as often while the heap is small,
// and as often as it takes to keep the process near 40 MiB, unless GOGC or
// GOMEMLIMIT say otherwise.
func bound(env []string) {
	given := func(name string) bool {
		return slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	}
	if !given("GOGC") {
		debug.SetGCPercent(200)
	}
	if !given("GOMEMLIMIT") {
		debug.SetMemoryLimit(32 << 20)
	}
}

func logger(w io.Writer, settings config.Log) *slog.Logger {
	return ops.NewLogger(w, settings.Level, settings.Format, isTerminal(w))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
