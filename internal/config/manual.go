package config

import (
	"fmt"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/tokenrelay/tokenrelay/internal/build"
	"github.com/tokenrelay/tokenrelay/internal/manual"
)

// generateFlag prints what a package ships beside the command, and ends it.
type generateFlag string

// BeforeReset is kong's call for a flag that is there. It comes before kong
// asks for what is missing.
func (generateFlag) BeforeReset(ctx *kong.Context, at *kong.Path, p *parser) error {
	out, program := p.kong.Stdout, p.manual()
	var err error
	switch kind := ctx.FlagValue(at.Flag); kind {
	case generateFlag("man"):
		err = manual.Page(out, program, build.Read().Version)
	case generateFlag("bash"):
		err = manual.Bash(out, program)
	case generateFlag("zsh"):
		err = manual.Zsh(out, program)
	case generateFlag("fish"):
		err = manual.Fish(out, program)
	default: // wrong, and noted as a problem
		return nil
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.kong.Stderr, "%s: standard output: %v\n", program.Name, err)
		p.kong.Exit(exitFailure)
		return nil
	}
	p.kong.Exit(exitDone)
	return nil
}

// manual describes the command line.
func (p *parser) manual() manual.Command {
	root := p.kong.Model.Node
	program := p.command(root)
	for _, node := range root.Children {
		program.Commands = append(program.Commands, p.command(node))
	}
	return program
}

func (p *parser) command(node *kong.Node) manual.Command {
	c := manual.Command{Name: node.Name, Help: node.Help, Usage: node.Summary()}
	for _, flag := range node.Flags {
		option := p.option(flag.Value)
		if flag.Short != 0 {
			option.Names = append(option.Names, "-"+string(flag.Short))
		}
		option.Names = append(option.Names, "--"+flag.Name)
		if flag.Tag.Negatable != "" {
			option.Names = append(option.Names, "--no-"+flag.Name)
		}
		if !flag.IsBool() {
			option.Value = flag.FormatPlaceHolder()
		}
		if flag.Group != nil {
			option.Group = flag.Group.Title
		}
		c.Options = append(c.Options, option)
	}
	for _, value := range node.Positional {
		argument := p.option(value)
		argument.Value = value.Name
		c.Arguments = append(c.Arguments, argument)
	}
	return c
}

func (p *parser) option(value *kong.Value) manual.Option {
	option := manual.Option{Repeats: value.IsCumulative(), Help: value.Help, Detail: p.describe(value)}
	if s := p.settings[value]; s != nil {
		option.Choices, option.File = s.enum, s.file()
	}
	return option
}

// file tells whether the value is the path of a file.
func (s *setting) file() bool {
	if s.value.Flag == nil {
		return s.value.Name == "file"
	}
	return slices.Contains([]string{"PATH", "FILE", "DIR"}, s.placeholder())
}
