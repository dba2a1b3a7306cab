package dlq

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
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

// Token shows a token; its first 6 characters, when it is long.
func (v *Veil) Token(token string) string {
	if v.open || token == "" {
		return token
	}
	if runes := []rune(token); len(runes) >= longToken {
		return string(runes[:6]) + "…" + v.mark(token)
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
	var b strings.Builder
	b.WriteString("{")
	some := false
	for _, name := range fieldsInOrder() {
		value, there := top[name]
		if !there {
			continue
		}
		delete(top, name)
		if some {
			b.WriteByte(',')
		}
		some = true
		fmt.Fprintf(&b, "\n\t%q: %s", name, v.field(name, value))
	}
	if len(top) > 0 {
		fmt.Fprintf(&b, "\n\t… and %d unknown", len(top))
	}
	b.WriteString("\n}")
	return b.String()
}

func fieldsInOrder() []string {
	return []string{"id", "user_id", "object_id", "token", "type", "keys", "provider_key", "device", "tracking",
		"properties", "expiry_date", "destinations", "registered_at"}
}

// field shows a value as far as it is nobody's own.
func (v *Veil) field(name string, value jsontext.Value) string {
	text, isText := unquoted(value)
	switch {
	case shared(name, text, value.Kind()), value.Kind() == 'n', isText && text == "":
		return string(value)
	case name == "token" && isText:
		return quote(v.Token(text))
	case isText:
		return quote(v.mark(text))
	case name == "device", name == "tracking":
		var group map[string]jsontext.Value
		if json.Unmarshal(value, &group, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) == nil && group != nil {
			return v.group(name, group)
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

// shared reports whether a field is the same for many people. A wrong value
// may be anything, so only what could be right counts.
func shared(name, text string, kind jsontext.Kind) bool {
	switch name {
	case "type":
		return slices.Contains(event.Types(), text)
	case "destinations":
		return kind == '['
	case "provider_key", "expiry_date", "registered_at",
		"device.app_id", "device.platform", "device.manufacturer", "device.model", "tracking.os_version":
		return kind == '"' && len(text) < longToken*2 || kind == 'f'
	}
	return false
}

func (v *Veil) group(name string, group map[string]jsontext.Value) string {
	var parts []string
	for _, member := range []string{"app_id", "ad_id", "device_id", "platform", "manufacturer", "model", "os_version", "ip", "lat", "long"} {
		if value, there := group[member]; there {
			parts = append(parts, fmt.Sprintf("%q: %s", member, v.field(name+"."+member, value)))
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
