package config

import (
	"fmt"
	"strconv"
)

// Problem is one wrong or missing setting, in one line.
type Problem struct {
	Variable string // the variable's name, or the flag's when it has no variable
	Flag     string // the flag that set it ("--nats-url"), empty when a variable did or nobody
	Found    string // what it was: a quoted value, "not set", "set"; never a secret
	Allowed  string // a clause: "must be a whole number from 1 to 5"
}

func (p *Problem) Error() string {
	source := p.Variable
	if p.Flag != "" && p.Flag != p.Variable {
		source += " (" + p.Flag + ")"
	}
	return fmt.Sprintf("%s is %s, %s", source, p.Found, p.Allowed)
}

// Check collects problems. It is bound into kong: a method
// AfterApply(*Check) error of a command or of a struct embedded in it gets it.
type Check struct {
	settings map[string]*setting
	contents map[string][]byte // of secrets' files, by the variable that names them
	problems []error
	hushed   bool // what kong finds wrong may be a secret that looks like a flag
}

// Problem adds one. Found must not hold a secret; Quote makes it of a value.
func (c *Check) Problem(variable, found, allowed string) {
	if s := c.settings[variable]; s != nil {
		c.against(s, found, allowed)
		return
	}
	c.problems = append(c.problems, &Problem{Variable: variable, Found: found, Allowed: allowed})
}

// against is Problem for a setting at hand: commands may share its variable.
func (c *Check) against(s *setting, found, allowed string) {
	s.broken = true
	problem := &Problem{Variable: s.name(), Found: found, Allowed: allowed}
	if !s.fromEnv && found != "not set" {
		problem.Flag = s.flag()
	}
	c.problems = append(c.problems, problem)
}

// Given reports whether a variable, or its flag, was set by somebody.
func (c *Check) Given(variable string) bool {
	s := c.settings[variable]
	return s != nil && s.given
}

// Sound reports whether nothing is known against these variables: a check
// between several is only worth a line when each is right by itself.
func (c *Check) Sound(variables ...string) bool {
	for _, variable := range variables {
		if s := c.settings[variable]; s != nil && s.broken {
			return false
		}
	}
	return true
}

// Quote shows a value that is no secret within one line of bounded length.
func Quote(value any) string {
	const most = 80
	text := []rune(fmt.Sprint(value))
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(string(text))
}
