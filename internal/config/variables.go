package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Variable is one setting as the documents describe it.
type Variable struct {
	Name     string // NATS_URL
	Flag     string // --nats-url
	Default  string // empty when it has none
	Required bool
	Help     string
	Allowed  string // "must be …"
}

// Variables lists the settings of cli (as for Parse) that have a variable, in
// the order of its fields, each once.
func Variables(cli any) []Variable {
	p := newParser("variables", "", cli, nil, io.Discard, io.Discard)
	var list []Variable
	seen := map[string]bool{}
	for _, s := range p.ordered {
		if s.env == "" || seen[s.env] {
			continue
		}
		seen[s.env] = true
		list = append(list, Variable{
			Name: s.env, Flag: s.flag(), Default: s.value.Default, Required: s.required,
			Help: s.value.Help, Allowed: s.allowed(),
		})
	}
	return list
}

// describe is the text of a setting in the help: what it is for, what it may
// be, and its variable. The default stands in kong's placeholder, which has no
// room for it where a flag needs no value.
func (p *parser) describe(value *kong.Value) string {
	s := p.settings[value]
	if s == nil {
		return value.Help
	}
	var notes []string
	if s.required {
		notes = append(notes, "required")
	}
	if limits := s.limits(); limits != "" {
		notes = append(notes, strings.TrimSpace(limits))
	}
	if len(s.enum) > 0 {
		notes = append(notes, strings.Join(s.enum, ", "))
	}
	if value.HasDefault && value.IsBool() {
		notes = append(notes, "default "+value.Default)
	}
	if s.env != "" {
		notes = append(notes, "$"+s.env)
	}
	if len(notes) == 0 {
		return value.Help
	}
	return fmt.Sprintf("%s (%s).", strings.TrimSuffix(value.Help, "."), strings.Join(notes, "; "))
}
