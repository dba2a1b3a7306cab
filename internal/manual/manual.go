// Package manual writes what a package ships beside a command: its manual page,
// and what bash, zsh and fish need to complete it.
//
// It knows how these four are written. It refuses to know how a command line is
// read: it is handed a plain description of one. It owns no goroutine.
package manual

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Command is a command line: a program and its commands, or one of those.
type Command struct {
	Name      string // as a person types it
	Help      string
	Usage     string // without the program's name: "run [flags]"
	Options   []Option
	Arguments []Option // each by its place
	Commands  []Command
}

// Option is a flag, or an argument that has a place instead of a name.
type Option struct {
	Names   []string // with their dashes; empty for an argument
	Value   string   // what stands for its value; empty when it takes none
	Choices []string // the values that it may have, where these are few
	File    bool     // its value is the path of a file
	Repeats bool
	Help    string // a sentence
	Detail  string // the sentence with limits, choices and variable
	Group   string
}

// Page is a manual page of section 1, in the macros of man(7).
func Page(w io.Writer, program Command, version string) error {
	return write(w, func(p *printer) { page(p, program, version) })
}

// Bash is a completion for bash, from 3.2 on.
func Bash(w io.Writer, program Command) error {
	return write(w, func(p *printer) { bash(p, program) })
}

// Zsh is a completion for zsh, to be sourced or put on its fpath as _PROGRAM.
func Zsh(w io.Writer, program Command) error {
	return write(w, func(p *printer) { zsh(p, program) })
}

// Fish is a completion for fish.
func Fish(w io.Writer, program Command) error {
	return write(w, func(p *printer) { fish(p, program) })
}

// printer collects lines.
type printer struct{ strings.Builder }

func (p *printer) linef(format string, args ...any) { _, _ = fmt.Fprintf(p, format+"\n", args...) }

func write(w io.Writer, draw func(*printer)) error {
	var p printer
	draw(&p)
	_, err := io.WriteString(w, p.String())
	return err
}

// names lists the names of all options, in order.
func names(options []Option) []string {
	var list []string
	for _, option := range options {
		list = append(list, option.Names...)
	}
	return list
}

// commandNames lists the names of all commands, in order.
func (c Command) commandNames() []string {
	var list []string
	for _, command := range c.Commands {
		list = append(list, command.Name)
	}
	return list
}

// every lists c, and each of its commands with the program's own options.
func (c Command) every() []Command {
	list := []Command{c}
	for _, command := range c.Commands {
		command.Options = slices.Concat(c.Options, command.Options)
		list = append(list, command)
	}
	return list
}

// brief is the first sentence, without its full stop.
func brief(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}
