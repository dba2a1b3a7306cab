package manual

import "strings"

// bash splits words at "=", so that --flag=value is three of them.
func bash(p *printer, program Command) {
	p.linef("# bash completion for %s, printed by %[1]s --generate=bash", program.Name)
	p.linef("_%s() {", program.Name)
	p.linef("  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' each")
	p.linef("  if [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi")
	p.linef("  if [[ $word == '=' ]]; then word=''; fi")
	if len(program.Commands) > 0 {
		p.linef(`  for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`)
		p.linef("    case $each in %s) command=$each && break ;; esac", strings.Join(program.commandNames(), " | "))
		p.linef("  done")
	}
	p.linef("  case $command in")
	for i, command := range program.every() {
		name := "''"
		if i > 0 {
			name = command.Name
		}
		p.linef("  %s)", name)
		bashValues(p, command)
		p.linef("    ;;")
	}
	p.linef("  esac")
	p.linef(`  COMPREPLY=($(compgen -W "$words" -- "$word"))`)
	p.linef("}")
	p.linef("complete -F _%s %[1]s", program.Name)
}

// The readline library completes paths better than compgen does.
const bashPaths = "compopt -o default 2>/dev/null; return"

// bashValues is what may stand behind the word before, within a command.
func bashValues(p *printer, command Command) {
	var free, files []string
	p.linef("    case $before in")
	for _, option := range command.Options {
		switch pattern := strings.Join(option.Names, " | "); {
		case option.Value == "":
		case option.File:
			files = append(files, pattern)
		case len(option.Choices) > 0:
			p.linef("    %s) words='%s' ;;", pattern, strings.Join(option.Choices, " "))
		default:
			free = append(free, pattern)
		}
	}
	if len(files) > 0 {
		p.linef("    %s) %s ;;", strings.Join(files, " | "), bashPaths)
	}
	if len(free) > 0 {
		p.linef("    %s) return ;;", strings.Join(free, " | "))
	}
	flags := "words='" + strings.Join(names(command.Options), " ") + "'"
	if argument := bashArgument(command); argument != "" {
		p.linef("    *) case $word in -*) %s ;; *) %s ;; esac ;;", flags, argument)
	} else {
		p.linef("    *) %s ;;", flags)
	}
	p.linef("    esac")
}

// bashArgument is what a person may type where no flag begins, if that is known.
func bashArgument(command Command) string {
	words := command.commandNames()
	for _, argument := range command.Arguments {
		if argument.File {
			return bashPaths
		}
		words = append(words, argument.Choices...)
	}
	if len(words) == 0 {
		return ""
	}
	return "words='" + strings.Join(words, " ") + "'"
}
