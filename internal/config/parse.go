// Package config turns arguments and an environment into settings, the same
// way for every command: each setting is both a flag and a variable, and all
// problems are told at once, one line each.
//
// It knows the names, defaults and limits of the settings and how they depend
// on each other, and it opens the connection to the broker, whose errors need
// the same care. It refuses to know what the settings are for. Nothing here
// owns a goroutine, and nothing here reads the environment of the process: it
// is handed in, so that tests run side by side.
package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tokenrelay/tokenrelay/internal/build"
)

// The exit codes that Parse asks for.
const (
	exitDone    = 0 // what was asked for is printed: help, version, manual
	exitFailure = 1 // it could not be printed
	exitUsage   = 2 // something in the arguments or the environment is wrong
)

// Parse fills cli, a pointer to a struct with kong's tags, from args (without
// the program's name) and env (as of os.Environ), and returns the selected
// command, ready to Run. A nil command means: leave now with the exit code;
// what was asked for (help, version, manual) is then on stdout, or every problem
// on stderr, one a line.
//
// Arguments win over variables, variables over defaults. An empty variable
// counts as not set. Beyond kong's tags these are understood:
//
//	min, max, over  limits of a number or a duration; over excludes the limit itself
//	allowed         what the value must be, in the words of a problem ("must be …")
//	choices         as enum, which kong allows only where there is a default
//
// A Secret with the variable X may have a sibling with the variable X_FILE:
// the secret is then read from that file, less one trailing newline.
//
// Checks between settings belong into a method AfterApply(*Check) error of the
// command or of a struct embedded in it, which adds problems and returns nil.
// A Validate method would hide all problems but its own.
func Parse(name, description string, cli any, args, env []string, stdout, stderr io.Writer) (*kong.Context, int) {
	p := newParser(name, description, cli, environment(env), stdout, stderr)
	command, err := p.kong.Parse(args)
	if p.left {
		return nil, p.code
	}
	if err != nil && !p.check.hushed {
		p.check.problems = append(p.check.problems, errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	if len(p.check.problems) > 0 {
		for _, problem := range p.check.problems {
			_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, problem)
		}
		return nil, exitUsage
	}
	return command, 0
}

// parser is kong with three habits changed: it takes variables from the
// environment it is given, goes on after a wrong value, and leaves the end of
// the process to its caller.
type parser struct {
	kong     *kong.Kong
	env      map[string]string
	settings map[*kong.Value]*setting
	ordered  []*setting
	check    *Check
	left     bool // with code: kong wanted to end the process
	code     int
}

// ownFlags are every command's.
type ownFlags struct {
	Version  kong.VersionFlag `help:"Print version, revision and Go version."`
	Generate generateFlag     `choices:"man,bash,zsh,fish" placeholder:"KIND" help:"Print the manual page, or what a shell needs to complete the command."`
}

// newParser panics when the tags of cli contradict each other: only its author
// can mend that.
func newParser(name, description string, cli any, env map[string]string, stdout, stderr io.Writer) *parser {
	p := &parser{env: env, settings: map[*kong.Value]*setting{}, check: &Check{settings: map[string]*setting{}, contents: map[string][]byte{}}}
	p.kong = kong.Must(cli,
		kong.Name(name),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { p.left, p.code = true, code }),
		kong.Bind(p.check, p),
		kong.Embed(&ownFlags{}),
		kong.Vars{"version": name + " " + build.Read().String()},
		kong.Resolvers(kong.ResolverFunc(p.resolve)),
		kong.WithBeforeResolve(p.selected),
		kong.WithBeforeApply(p.complete),
		kong.ValueFormatter(p.describe),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 120}),
	)
	_ = kong.Visit(p.kong.Model.Node, func(node kong.Visitable, next kong.Next) error {
		switch node := node.(type) {
		case *kong.Flag:
			p.adopt(node.Value)
		case *kong.Value:
			p.adopt(node)
		}
		return next(nil)
	})
	return p
}

// adopt takes from kong what it would do with the process's environment or
// with its first error.
func (p *parser) adopt(value *kong.Value) {
	if _, known := p.settings[value]; known || value.Flag != nil && value.Flag == p.kong.Model.HelpFlag {
		return
	}
	s := newSetting(value)
	p.settings[value] = s
	p.ordered = append(p.ordered, s)
	value.Mapper = recorder{inner: value.Mapper, setting: s, check: p.check}
}

// resolve is kong's question for a flag that the arguments did not set.
func (p *parser) resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	s := p.settings[flag.Value]
	if s == nil || s.env == "" {
		return nil, nil
	}
	s.fromEnv = true
	if text := p.env[s.env]; text != "" {
		return text, nil
	}
	return p.fromFile(ctx, s), nil
}

// selected runs when the command is known. Commands may share variables: from
// here on a name means this command's setting.
func (p *parser) selected(ctx *kong.Context) error {
	for _, s := range p.expected(ctx) {
		p.check.settings[s.name()] = s
	}
	return nil
}

// complete runs when every value is known: it notes what was given by whom and
// what is missing. Kong calls it once for each part of the command line.
func (p *parser) complete(ctx *kong.Context, at *kong.Path) error {
	if at.App == nil {
		return nil
	}
	for _, part := range ctx.Path {
		if s := p.settings[valueOf(part)]; s != nil {
			s.given = true
			s.fromEnv = part.Resolved
		}
	}
	for _, s := range p.expected(ctx) {
		if s.required && !s.given {
			p.check.against(s, "not set", s.allowed())
		}
		s.value.Required = false // kong would stop here
	}
	p.refuseBoth(ctx)
	return nil
}

// expected lists the settings of the selected command.
func (p *parser) expected(ctx *kong.Context) []*setting {
	var list []*setting
	for _, flag := range ctx.Flags() {
		if s := p.settings[flag.Value]; s != nil {
			list = append(list, s)
		}
	}
	if command := ctx.Selected(); command != nil {
		for _, positional := range command.Positional {
			list = append(list, p.settings[positional])
		}
	}
	return list
}

func valueOf(part *kong.Path) *kong.Value {
	switch {
	case part.Flag != nil:
		return part.Flag.Value
	case part.Positional != nil:
		return part.Positional
	}
	return nil
}

func environment(list []string) map[string]string {
	env := make(map[string]string, len(list))
	for _, entry := range list {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}
