package manual

import (
	"fmt"
	"strings"
)

func zsh(p *printer, program Command) {
	p.linef("#compdef %s", program.Name)
	p.linef("# zsh completion for %s, printed by %[1]s --generate=zsh", program.Name)
	p.linef("_%s() {", program.Name)
	if len(program.Commands) == 0 {
		zshArguments(p, "  ", program)
	} else {
		p.linef("  local context state state_descr line")
		p.linef("  typeset -A opt_args")
		own := Command{Options: program.Options}
		zshArguments(p, "  ", own, "-C", "'1: :->command'", "'*:: :->rest'")
		p.linef("  case $state in")
		p.linef("  command)")
		p.linef("    local -a commands=(")
		for _, command := range program.Commands {
			p.linef("      %s", quote(command.Name+":"+brief(command.Help)))
		}
		p.linef("    )")
		p.linef("    _describe command commands")
		p.linef("    ;;")
		p.linef("  rest)")
		p.linef("    case $words[1] in")
		for _, command := range program.every()[1:] {
			p.linef("    %s)", command.Name)
			zshArguments(p, "      ", command)
			p.linef("      ;;")
		}
		p.linef("    esac")
		p.linef("    ;;")
		p.linef("  esac")
	}
	p.linef("}")
	// The file is autoloaded as the function itself, or sourced.
	p.linef(`if [ "$funcstack[1]" = _%s ]; then _%[1]s; else compdef _%[1]s %[1]s; fi`, program.Name)
}

// zshArguments calls _arguments, with further words as they are.
func zshArguments(p *printer, indent string, command Command, further ...string) {
	words := []string{"_arguments", "-S"}
	words = append(words, further...)
	for _, option := range command.Options {
		words = append(words, zshOption(option)...)
	}
	for i, argument := range command.Arguments {
		words = append(words, quote(fmt.Sprintf("%d:%s", i+1, zshValue(argument))))
	}
	p.linef("%s%s", indent, strings.Join(words, " \\\n"+indent+"  "))
}

// zshOption is a word for each name; one name excludes the others.
func zshOption(option Option) []string {
	var words []string
	for _, name := range option.Names {
		var word strings.Builder
		switch {
		case option.Repeats:
			word.WriteString("*")
		case len(option.Names) > 1:
			word.WriteString("(" + strings.Join(option.Names, " ") + ")")
		}
		word.WriteString(name)
		if option.Value != "" {
			word.WriteString("=")
		}
		word.WriteString("[" + escape(brief(option.Help), `\[]:`) + "]")
		if option.Value != "" {
			word.WriteString(":" + zshValue(option))
		}
		words = append(words, quote(word.String()))
	}
	return words
}

// zshValue is how a value is called and completed.
func zshValue(option Option) string {
	name := escape(option.Value, `\:`)
	switch {
	case option.File:
		return name + ":_files"
	case len(option.Choices) > 0:
		return name + ":(" + strings.Join(option.Choices, " ") + ")"
	}
	return name + ": "
}

// quote makes one word of a text, for zsh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// escape puts a backslash before each of these.
func escape(text, these string) string {
	var out strings.Builder
	for _, r := range text {
		if strings.ContainsRune(these, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
