// Command publisher puts token-registration events into the stream: one from
// the command line, or a file of millions.
//
// It knows files, terminals and how to go on after an interruption; how an
// event is sent and confirmed is the publisher package's matter. Every command
// owns the goroutines it starts and waits for them, but for a read from
// standard input that nothing can interrupt.
package main

import (
	"context"
	"io"
	"os"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/signals"
)

func main() {
	os.Exit(run(signals.End(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes; config.Parse has the one for wrong usage, 2.
const (
	exitOK      = 0
	exitFailure = 1
)

// commandLine is what config.Parse fills.
type commandLine struct {
	Send   sendCommand   `cmd:"" help:"Publish one event, from flags or as JSON on standard input."`
	Import importCommand `cmd:"" help:"Publish the events of a file: JSON lines, CSV, or the lines of dlq export."`
}

// streams are the process's, handed to the selected command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var cli commandLine
	command, code := config.Parse("publisher", "Puts token-registration events into the stream.", &cli, args, env, stdout, stderr)
	if command == nil {
		return code
	}
	std := streams{in: stdin, out: stdout, err: stderr}
	switch command.Command() {
	case "send":
		return cli.Send.run(ctx, std)
	default:
		return cli.Import.run(ctx, std)
	}
}
