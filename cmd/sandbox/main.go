// Command sandbox is a double of CleverTap and Courier on a loopback port: for
// an app's tests in any language and for trying the worker without accounts.
//
// It knows flags, variables and how to say what it does; everything else is
// the package sandbox. It owns no goroutine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/health"
	"github.com/tokenrelay/tokenrelay/internal/signals"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

func main() {
	os.Exit(run(signals.End(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes; config.Parse has the one for wrong usage, 2.
const (
	exitOK      = 0
	exitFailure = 1
)

func run(ctx context.Context, args, env []string, _ io.Reader, stdout, stderr io.Writer) int {
	var cli commandLine
	command, code := config.Parse("sandbox", "A double of CleverTap and Courier, for tests and development only.", &cli, args, env, stdout, stderr)
	if command == nil {
		return code
	}
	if cli.Health {
		if _, err := health.Ask(ctx, "http", cli.Addr, sandbox.ControlPath+"/"); err != nil {
			_, _ = fmt.Fprintln(stderr, "sandbox:", err)
			return exitFailure
		}
		_, _ = fmt.Fprintln(stdout, "ok")
		return exitOK
	}
	s, err := sandbox.Start(cli.settings())
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailure
	}
	if _, err = io.WriteString(stdout, greeting(s, &cli)); err == nil {
		<-ctx.Done()
	}
	err = errors.Join(err, s.Close())
	_, _ = io.WriteString(stdout, farewell(s.Report()))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "sandbox:", err)
		return exitFailure
	}
	return exitOK
}
