package dlq

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
)

// Veil shows events without their personal values: each becomes a short hash,
// so that a person can tell two apart. The hash's key is the veil's own, so
// that it says nothing to whoever keeps the output.
type Veil struct {
	key  []byte
	open bool
}

// NewVeil hides personal values, unless reveal is set.
func NewVeil(reveal bool) *Veil {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	return &Veil{key: key, open: reveal}
}

// Revealing reports whether the veil hides nothing.
func (v *Veil) Revealing() bool { return v.open }

// longToken is the length from which the beginning of a token gives nothing
// away.
const longToken = 24

// Token shows a token; its first 6 characters, when it is long and written
// like one: what stands in its place may be an address or a name.
func (v *Veil) Token(token string) string {
	if v.open || token == "" {
		return token
	}
	if len(token) >= longToken && digitsAndLetters(token, "-_:+/=") {
		return token[:6] + "…" + v.mark(token)
	}
	return v.mark(token)
}

// Value shows any other personal value.
func (v *Veil) Value(value string) string {
	if v.open || value == "" {
		return value
	}
	return v.mark(value)
}

// HeaderName shows the name of a message's header. Apps choose these names
// as freely as values, but every name in common use (Nats-Msg-Id, traceparent,
// Content-Type and so on) is short, has few digits and no character beyond
// letters, digits, "-", "_" and ".". Whatever breaks this rule looks like a
// value, such as an address, a phone number or a token, and is marked: 6 or
// more digits, more than 40 bytes, or another character. A name that the
// writer kept as Dlq-Original-… is judged by what follows.
func (v *Veil) HeaderName(name string) string {
	bare, kept := strings.CutPrefix(name, originalPrefix)
	if v.open || len(bare) <= 40 && digits(bare) < 6 && digitsAndLetters(bare, "-_.") {
		return name
	}
	if kept {
		return originalPrefix + v.mark(bare)
	}
	return v.mark(name)
}

func (v *Veil) mark(value string) string {
	sum := hmac.New(sha256.New, v.key)
	sum.Write([]byte(value))
	return "#" + hex.EncodeToString(sum.Sum(nil)[:4])
}

// Body shows an event's message, pretty-printed.
func (v *Veil) Body(body []byte) string {
	if v.open {
		pretty := jsontext.Value(bytes.Clone(body))
		if pretty.Indent() != nil {
			return string(body)
		}
		return string(pretty)
	}
	var top map[string]jsontext.Value
	if err := json.Unmarshal(body, &top, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil || top == nil {
		return fmt.Sprintf("(%d bytes that are no JSON object; not shown)", len(body))
	}
	_, err := event.Decode(body)
	valid := err == nil
	var b strings.Builder
	b.WriteString("{")
	some := false
	for _, name := range event.Fields() {
		value, there := top[name]
		if !there {
			continue
		}
		delete(top, name)
		if some {
			b.WriteByte(',')
		}
		some = true
		fmt.Fprintf(&b, "\n\t%q: %s", name, v.field(name, value, valid))
	}
	if len(top) > 0 {
		fmt.Fprintf(&b, "\n\t… and %d unknown", len(top))
	}
	b.WriteString("\n}")
	return b.String()
}

// field shows a value as far as it is nobody's own.
func (v *Veil) field(name string, value jsontext.Value, valid bool) string {
	text, isText := unquoted(value)
	switch {
	case value.Kind() == 'n', shared(name, value, valid):
		_ = value.Compact() // fails for invalid UTF-8 alone, which is not shared
		return string(value)
	case isText && text == "":
		return `""`
	case name == "token" && isText:
		return quote(v.Token(text))
	case isText:
		return quote(v.mark(text))
	case name == "device", name == "tracking":
		var group map[string]jsontext.Value
		if json.Unmarshal(value, &group, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) == nil && group != nil {
			return v.group(name, group, valid)
		}
	}
	switch value.Kind() {
	case '{':
		return "(an object, not shown)"
	case '[':
		return "(an array, not shown)"
	case '0':
		return "(a number, not shown)"
	}
	return "(a boolean, not shown)"
}

func (v *Veil) group(name string, group map[string]jsontext.Value, valid bool) string {
	var parts []string
	for _, member := range event.Members(name) {
		if value, there := group[member]; there {
			parts = append(parts, fmt.Sprintf("%q: %s", member, v.field(name+"."+member, value, valid)))
			delete(group, member)
		}
	}
	if len(group) > 0 {
		parts = append(parts, fmt.Sprintf("… and %d unknown", len(group)))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func unquoted(value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		return "", false
	}
	text, _ := jsontext.AppendUnquote(nil, value) // invalid UTF-8 becomes U+FFFD
	return string(text), true
}

func quote(text string) string {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return `"…"`
	}
	return string(quoted)
}

// Person is who an event is about, and its token, as far as it can be read.
type Person struct{ Token, User, Object string }

// WhoseIs reads a body for a list: an event that is not valid shows nothing.
func WhoseIs(body []byte) Person {
	ev, err := event.Decode(body)
	if err != nil {
		return Person{}
	}
	return Person{ev.Token, ev.UserID, ev.ObjectID}
}
