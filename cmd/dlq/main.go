// Command dlq shows dead letters and why they died, tries a cure on a few,
// replays the rest, and removes what is not wanted any more.
//
// It turns arguments into filters and orders, asks before it changes anything,
// and shows what happens. What a letter is and how it goes back are the rooms'
// below it. It owns the goroutines of a command and waits for them.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/rights"
	"github.com/tokenrelay/tokenrelay/internal/signals"
)

func main() {
	p := process{hangups: signals.Hangup()}
	os.Exit(p.run(signals.End(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// process is what a command has of its process beside its streams.
type process struct {
	hangups <-chan os.Signal // the terminal has gone, or a console shall read its files again
}

// cli is every command; kong fills it.
type cli struct {
	List   listCommand   `cmd:"" help:"List letters, newest first."`
	Groups groupsCommand `cmd:"" help:"Show what letters died of: counts, what it means, and what usually helps."`
	Show   showCommand   `cmd:"" help:"Show everything about one letter."`
	Replay replayCommand `cmd:"" help:"Put letters back into the stream, a few of each group first."`
	Purge  purgeCommand  `cmd:"" help:"Remove letters for good."`
	Export exportCommand `cmd:"" help:"Write letters as JSON lines, which publisher import puts back."`
	Erase  eraseCommand  `cmd:"" help:"Remove a person's letters and events for good."`

	Console consoleCommand `cmd:"" help:"Serve all this as a page for a browser."`
	Health  healthCommand  `cmd:"" help:"Ask the console on this host whether it is there; exit 1 when it is not."`
}

// streams are what a command reads and writes. Values, and then answers, are
// lines of in.
type streams struct {
	in       *bufio.Reader
	stdin    io.Reader
	out, err io.Writer
	env      []string
	end      context.CancelCauseFunc // ends the command, for what cannot become better
	process
}

// line reads a line, or ends with ctx.
func (std streams) line(ctx context.Context) (string, error) {
	return wait(ctx, func() (string, error) { return std.in.ReadString('\n') })
}

// wait ends with ctx what nothing else can interrupt: a read from a terminal.
// Its goroutine is left behind then, and the process ends.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// The exit codes; config.Parse has the one for wrong usage, 2.
const (
	exitOK      = 0
	exitFailure = 1
)

func (p process) run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	out := &output{to: stdout}
	std := streams{bufio.NewReader(stdin), stdin, out, stderr, env, end, p}
	command, code := config.Parse("dlq", "Dead letters: see why, try the cure, replay.", &cli{}, args, env, stdout, stderr)
	if command == nil {
		return code
	}
	if command.Command() != "console" {
		go func() {
			select {
			case <-p.hangups:
				end(context.Canceled)
			case <-ctx.Done():
			}
		}()
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err := command.Run(std)
	if err == nil {
		err = out.failed // a command prints without asking
	}
	refused, isRefused := errors.AsType[*rights.Refusal](context.Cause(ctx))
	switch {
	case err == nil:
		return exitOK
	case isRefused:
		err = refused
	case errors.Is(err, errTold): // what went wrong is on the screen already
		return exitFailure
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		err = errors.New("stopped")
	}
	_, _ = fmt.Fprintln(stderr, "dlq:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return exitFailure
}

// errTold ends a command with exit code 1 and without a further line.
var errTold = errors.New("told already")

// answerTime bounds the first questions to the broker.
const answerTime = 10 * time.Second

// link is the connection of a command and the letters behind it.
type link struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	letters *dlq.Reader
}

// connect opens the broker and finds the letters. A refusal of what the command
// cannot do without ends it at once: a refused question is never answered.
func (std streams) connect(ctx context.Context, settings config.NATS, command string) (*link, error) {
	return connect(ctx, settings, command, func(refused *rights.Refusal) {
		if isNeeded(refused.Subject) {
			std.end(refused)
		}
	})
}

// isNeeded leaves out what is done for tidiness, like the end of a consumer that
// the server would end by itself, and what is done without where it is refused.
func isNeeded(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX.") || strings.HasPrefix(subject, "tokens.") ||
		strings.HasPrefix(subject, "$JS.API.") && !strings.HasPrefix(subject, "$JS.API.CONSUMER.DELETE.")
}

func connect(ctx context.Context, settings config.NATS, command string, told func(*rights.Refusal)) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errors.New("the broker is there, but JetStream does not answer"))
	defer cancel()
	conn, err := settings.Connect(ctx, "tokenrelay dlq "+command, nats.PermissionErrOnSubscribe(true), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if refused := rights.RefusalOf(err); refused != nil {
			told(refused)
		}
	}))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err == nil {
		var letters *dlq.Reader
		if letters, err = dlq.Open(ctx, js); err == nil {
			return &link{conn, js, letters}, nil
		}
	}
	conn.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, rights.Explain(err)
}

func (l *link) close() { l.conn.Close() }

// output remembers that it could not be written, for those who print without
// asking.
type output struct {
	to     io.Writer
	failed error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil && o.failed == nil {
		o.failed = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// printf writes to the person; that it could not be written to standard output
// shows in the command's end.
func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
