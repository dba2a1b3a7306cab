package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tokenrelay/tokenrelay/internal/reread"
)

const redacted = "[secret]"

// Secret is a text that no print, log or encoding shows. Its zero value is no secret.
//
// A secret that came from a file follows it: copies of a Secret share what the
// file said when it was last read.
type Secret struct {
	// A pointer, because fmt cannot call methods on fields that are not
	// exported, and would print a string in the struct around it; to a pointer,
	// because fmt follows one.
	value **held
}

// held is a text, or where it is from.
type held struct {
	text string
	file *reread.Value[string] // nil: the text stays
}

// NewSecret hides a text; an empty one is no secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	h := &held{text: text}
	return Secret{&h}
}

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string {
	switch {
	case s.value == nil:
		return ""
	case (*s.value).file != nil:
		return (*s.value).file.Get()
	}
	return (*s.value).text
}

// File is where the secret is from, nil when it is from no file.
func (s Secret) File() reread.Source {
	if s.value == nil || (*s.value).file == nil {
		return nil
	}
	return (*s.value).file
}

// IsSet reports whether there is a secret at all.
func (s Secret) IsSet() bool { return s.value != nil }

func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return redacted
}

// Format covers every verb, %#v and the wrong ones included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString is for those who ask by hand.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the secret itself.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// fromFile reads a secret from the file that its sibling names; nil when there is none.
func (p *parser) fromFile(ctx *kong.Context, s *setting) any {
	sibling := p.fileOf(s)
	if sibling == nil {
		return nil
	}
	path, ok := ctx.FlagValue(sibling.value.Flag).(string)
	sibling.fromEnv = false
	if !traced(ctx, sibling) {
		path, ok = p.env[sibling.env], true
		sibling.fromEnv = true
	}
	if !ok || path == "" {
		return nil
	}
	content, err := reread.Read(path)
	if err != nil {
		p.check.against(sibling, Quote(path), "cannot be read: "+err.Error())
		return nil
	}
	text, err := secretText(content)
	if err != nil {
		p.check.against(sibling, Quote(path), err.Error())
		return nil
	}
	p.check.contents[sibling.env] = content
	return text
}

// longestSecret is in bytes; no header or login would carry a longer one.
const longestSecret = 4096

// secretText is the secret that a file holds: its only line.
func secretText(content []byte) (string, error) {
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case text == "":
		return "", errors.New("must not be an empty file")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("must hold one line, the secret")
	case len(text) > longestSecret:
		return "", fmt.Errorf("must hold a secret of at most %d bytes", longestSecret)
	}
	return text, nil
}

// follow lets a secret that is from a file say what the file says; it reports
// whether it is from one. fit, which may be nil, says what else it must be.
func (c *Check) follow(secret Secret, variable, path string, fit func(text string) error) bool {
	content, found := c.contents[variable]
	if !found {
		return false
	}
	file, err := reread.Opened(variable, path, content, func(contents [][]byte) (string, error) {
		text, err := secretText(contents[0])
		if err == nil && fit != nil {
			err = fit(text)
		}
		return text, err
	})
	if err != nil {
		c.files(err)
		return true
	}
	(*secret.value).file = file
	return true
}

// fileOf finds the setting X_FILE of the secret X.
func (p *parser) fileOf(s *setting) *setting {
	if !s.secret() || s.env == "" {
		return nil
	}
	return p.check.settings[s.env+"_FILE"]
}

// refuseBoth tells of secrets that were given as such and as a file.
func (p *parser) refuseBoth(ctx *kong.Context) {
	for _, flag := range ctx.Flags() {
		s := p.settings[flag.Value]
		if s == nil {
			continue
		}
		sibling := p.fileOf(s)
		if sibling != nil && sibling.given && s.given && (!s.fromEnv || p.env[s.env] != "") {
			p.check.against(s, "set (not shown)", "must not be given together with "+sibling.name())
		}
	}
}

// traced reports whether the arguments themselves set it.
func traced(ctx *kong.Context, s *setting) bool {
	for _, part := range ctx.Path {
		if part.Flag != nil && part.Flag == s.value.Flag && !part.Resolved {
			return true
		}
	}
	return false
}
