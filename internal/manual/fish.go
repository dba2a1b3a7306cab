package manual

import "strings"

func fish(p *printer, program Command) {
	p.linef("# fish completion for %s, printed by %[1]s --generate=fish", program.Name)
	start := "complete -c " + program.Name
	p.linef("%s -f", start)
	fishValues(p, start, program)
	for _, command := range program.Commands {
		p.linef("%s -n __fish_use_subcommand -a %s -d %s", start, command.Name, fishQuote(brief(command.Help)))
	}
	for _, command := range program.Commands {
		fishValues(p, start+" -n '__fish_seen_subcommand_from "+command.Name+"'", command)
	}
}

// fishValues has a line for each option and each argument that can be completed.
func fishValues(p *printer, start string, command Command) {
	for _, option := range command.Options {
		for _, name := range option.Names {
			kind := " -l "
			if !strings.HasPrefix(name, "--") {
				kind = " -s "
			}
			p.linef("%s%s%s%s -d %s", start, kind, strings.TrimLeft(name, "-"), fishValue(option), fishQuote(brief(option.Help)))
		}
	}
	for _, argument := range command.Arguments {
		if len(argument.Choices) > 0 || argument.File {
			p.linef("%s%s", start, strings.TrimPrefix(fishValue(argument), " -r"))
		}
	}
}

// fishValue says that a value is required, and what it may be.
func fishValue(option Option) string {
	switch {
	case option.Value == "":
		return ""
	case option.File:
		return " -r -F"
	case len(option.Choices) > 0:
		return " -r -f -a " + fishQuote(strings.Join(option.Choices, " "))
	}
	return " -r -f"
}

func fishQuote(text string) string { return "'" + escape(text, `\'`) + "'" }
