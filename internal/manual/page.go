package manual

import (
	"fmt"
	"slices"
	"strings"
)

// page shows each group of flags once, with the commands that have it.
func page(p *printer, program Command, version string) {
	p.linef(`.TH %s 1 "" "tokenrelay %s" "tokenrelay"`, strings.ToUpper(program.Name), version)
	p.linef(".SH NAME")
	p.linef("%s \\- %s", program.Name, roff(strings.ToLower(program.Help[:1])+brief(program.Help)[1:]))
	p.linef(".SH SYNOPSIS")
	for i, command := range program.leaves() {
		if i > 0 {
			p.linef(".br")
		}
		p.linef(".B %s", roff(program.Name+" "+command.Usage))
	}
	p.linef(".SH DESCRIPTION")
	p.linef("%s", roff(program.Help))
	p.linef(".PP")
	p.linef("%s", roff("Where a flag names a variable, that variable has the same effect; the flag wins. An empty variable counts as not set."))
	if len(program.Commands) > 0 {
		p.linef(".SH COMMANDS")
		for _, command := range program.Commands {
			p.linef(".TP")
			p.linef(".B %s", roff(command.Usage))
			p.linef("%s", roff(command.Help))
			for _, argument := range command.Arguments {
				p.linef(".br")
				p.linef("%s", roff("<"+argument.Value+">: "+argument.Detail))
			}
		}
	}
	p.linef(".SH OPTIONS")
	for _, group := range groups(program) {
		if len(program.Commands) > 0 {
			p.linef(`.SS "%s"`, roff(group.heading()))
		}
		for _, option := range group.options {
			p.linef(".TP")
			p.linef(".B %s", roff(option.form()))
			p.linef("%s", roff(option.Detail))
		}
	}
	p.linef(".SH EXIT STATUS")
	p.linef("0: done, or stopped in order. 1: failed. 2: something in the arguments or the environment is wrong.")
}

// leaves are what a person can run.
func (c Command) leaves() []Command {
	if len(c.Commands) > 0 {
		return c.Commands
	}
	return []Command{c}
}

// form is how an option is typed: "-h, --help" or "--rate=N".
func (o Option) form() string {
	form := strings.Join(o.Names, ", ")
	if o.Value != "" {
		form += "=" + o.Value
	}
	return form
}

// group is some options and whose they are.
type group struct {
	title    string
	options  []Option
	commands []string // empty: the program's own
}

func (g group) heading() string {
	switch title := g.title; {
	case len(g.commands) == 0:
		return "Everywhere"
	case title == "":
		return "Of " + strings.Join(g.commands, ", ")
	default:
		return fmt.Sprintf("%s (%s)", title, strings.Join(g.commands, ", "))
	}
}

// groups lists the options by their groups, those without one first. Commands
// with the same options in the same group share it.
func groups(program Command) []group {
	list := []group{{options: program.Options}}
	for _, command := range program.Commands {
		var titles []string
		options := map[string][]Option{}
		for _, option := range command.Options {
			if options[option.Group] == nil {
				titles = append(titles, option.Group)
			}
			options[option.Group] = append(options[option.Group], option)
		}
		for _, title := range titles {
			same := slices.IndexFunc(list, func(g group) bool {
				return len(g.commands) > 0 && g.title == title && slices.EqualFunc(g.options, options[title], func(a, b Option) bool {
					return a.form() == b.form() && a.Detail == b.Detail
				})
			})
			if same < 0 {
				list = append(list, group{title, options[title], []string{command.Name}})
			} else {
				list[same].commands = append(list[same].commands, command.Name)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b group) int { return min(len(a.title), 1) - min(len(b.title), 1) })
	return list
}

// roff writes a text that is one line so that nothing in it is an instruction,
// and so that a hyphen can be copied as one.
func roff(text string) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case r == '\\':
			out.WriteString(`\e`)
		case r == '-':
			out.WriteString(`\-`)
		case r == '"':
			out.WriteString(`\(dq`)
		case i == 0 && (r == '.' || r == '\''):
			out.WriteString(`\&` + string(r))
		case r > '~':
			_, _ = fmt.Fprintf(&out, `\[u%04X]`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
