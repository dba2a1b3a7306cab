// Command demo is everything in one process, for trying tokenrelay out: JetStream
// on disk, fake providers, the worker and the console, on loopback only.
//
// It turns arguments, variables and signals into calls and errors into exit
// codes; what it starts is the room internal/demo's. It owns no goroutine.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/signals"
)

func main() {
	// net/http writes there what it cannot make sense of, word for word.
	log.SetOutput(io.Discard)
	os.Exit(run(signals.End(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args, env []string, _ io.Reader, stdout, stderr io.Writer) int {
	var cli commandLine
	command, code := config.Parse("demo", "Everything in one process: JetStream on disk, fake providers, the worker, the console. Loopback only, not for production.", &cli, args, env, stdout, stderr)
	if command == nil {
		return code
	}
	if err := cli.run(ctx, env, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}
