// Package scrub makes what a provider wrote fit to be read by people: one
// short line in which no value of an event and no credential is left, however
// the provider escaped it.
//
// It knows which values of an event are personal; it refuses to know HTTP and
// the providers. It owns no goroutine.
package scrub

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

const (
	// MaxBytes is the length of the longest line.
	MaxBytes = 256

	mark = "[redacted]"
	// read is how much of a text is looked at: more than a line holds, so
	// that redaction cannot pull into the line what was not looked at.
	read = 1 << 10
	// short values are only redacted where they stand as a word: a user id
	// of "1" must not make a line unreadable.
	short = 4
)

// Scrubber redacts the values it was made with.
type Scrubber struct {
	values [256][]string // by first byte, in lower case
}

// New gathers what must not be shown: the values of the records' events, and
// secrets of any kind. What the whole fleet shares (type, provider key, platform, maker
// and model, the app's name) stays readable.
func New(secrets []string, records []providers.Record) *Scrubber {
	s := new(Scrubber)
	for _, secret := range secrets {
		s.Add(secret)
	}
	for _, r := range records {
		if r.Event != nil {
			s.addEvent(r.Event)
		}
	}
	return s
}

func (s *Scrubber) addEvent(e *event.Event) {
	s.Add(e.Token)
	s.Add(e.UserID)
	s.Add(e.ObjectID)
	if e.Keys != nil {
		s.Add(e.Keys.P256dh)
		s.Add(e.Keys.Auth)
	}
	if e.Device != nil {
		s.Add(e.Device.AdID)
		s.Add(e.Device.DeviceID)
	}
	if e.Tracking != nil {
		s.Add(e.Tracking.IP)
		s.Add(e.Tracking.Lat)
		s.Add(e.Tracking.Long)
	}
	s.addLeaves(e.Properties)
}

// addLeaves adds strings and numbers of free-form JSON; shorter ones than
// short are words like "yes", and names are the app's own.
func (s *Scrubber) addLeaves(object jsontext.Value) {
	if len(object) == 0 {
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(object)))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return
		}
		kind, nth := dec.StackIndex(dec.StackDepth())
		isName := kind == '{' && nth%2 == 1
		if (token.Kind() == '"' && !isName || token.Kind() == '0') && len(token.String()) >= short {
			s.Add(token.String())
		}
	}
}

// Add hides one more value.
func (s *Scrubber) Add(value string) {
	if value == "" {
		return
	}
	value = lower(value)
	s.values[value[0]] = append(s.values[value[0]], value)
}

// Clean reports whether text holds none of the values.
func (s *Scrubber) Clean(text string) bool {
	clean := true
	s.find(plain(text), func(int, int) bool {
		clean = false
		return false
	})
	return clean
}

// Line is head, which is ours, and text, which is not, as one printable line
// of at most MaxBytes bytes: "head: text", with every value in text redacted.
func (s *Scrubber) Line(head, text string) string {
	text = oneLine(s.redact(plain(text[:min(len(text), read)])))
	// Once more: what was dropped may have stood within a value.
	if text = s.redact(text); text == "" {
		return cut(head)
	}
	if head == "" {
		return cut(text)
	}
	return cut(head + ": " + text)
}

func (s *Scrubber) redact(text string) string {
	hidden := make([]bool, len(text))
	s.find(text, func(from, to int) bool {
		for i := from; i < to; i++ {
			hidden[i] = true
		}
		return true
	})
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(mark)
		}
	}
	return out.String()
}

// plain removes control characters and broken UTF-8 before the search: they
// could stand in the middle of a value, and no value contains one.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
}

// oneLine drops what cannot be printed and makes one space of many.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

func cut(line string) string {
	if len(line) <= MaxBytes {
		return line
	}
	const more = "…"
	end := MaxBytes - len(more)
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + more
}
