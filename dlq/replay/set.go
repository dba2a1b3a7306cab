package replay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// Set gives a field of an event a value.
type Set struct {
	Field string         // device.platform
	Value jsontext.Value // nil takes the field away
}

// Fields lists what can be set: every field of an event.
func Fields() []string {
	var list []string
	for _, field := range event.Fields() {
		members := event.Members(field)
		if len(members) == 0 {
			list = append(list, field)
		}
		for _, member := range members {
			list = append(list, field+"."+member)
		}
	}
	return list
}

// ParseSet reads `field=value`. The value is a text; of properties it is a JSON
// object, of destinations names with commas, of expiry_date a date or false.
// An empty value takes the field away. Errors do not quote the value.
func ParseSet(text string) (Set, error) {
	field, value, found := strings.Cut(text, "=")
	if !found {
		return Set{}, errors.New("must be field=value, such as provider_key=firebase-fcm")
	}
	if !slices.Contains(Fields(), field) {
		return Set{}, fmt.Errorf("names no field of an event: must be one of %s", strings.Join(Fields(), ", "))
	}
	switch {
	case value == "":
		return Set{Field: field}, nil
	case field == "properties":
		raw := jsontext.Value(value)
		if raw.Kind() != '{' || !raw.IsValid() {
			return Set{}, errors.New(`must be a JSON object, such as properties={"plan":"free"}`)
		}
		return Set{field, raw}, nil
	case field == "expiry_date" && value == "false":
		return Set{field, event.NeverExpires()}, nil
	case field == "destinations":
		raw, err := json.Marshal(strings.Split(value, ","))
		return Set{field, raw}, err
	}
	raw, err := jsontext.AppendQuote(nil, value)
	if err != nil {
		return Set{}, errors.New("must be valid UTF-8")
	}
	return Set{field, raw}, nil
}

// ChangeBy sets fields of every event. All other values stay as they came.
func ChangeBy(sets []Set) Change {
	return func(l *dlq.Stored) ([]byte, []string, error) {
		body := l.Body
		var changed []string
		for _, s := range sets {
			next, err := s.apply(body)
			if err != nil {
				return nil, nil, err
			}
			if !bytes.Equal(next, body) {
				changed = append(changed, s.Field)
			}
			body = next
		}
		return body, changed, nil
	}
}

// apply leaves a body as it came when nothing but its layout would change. What
// is no strict JSON is changed by writing it anew, even with the same value.
func (s Set) apply(body []byte) ([]byte, error) {
	top, err := readObject(body)
	if err != nil {
		return nil, &event.Violation{Field: "event", Problem: "no JSON object, so that no field can be set"}
	}
	value := s.Value
	outer, inner, nested := strings.Cut(s.Field, ".")
	if nested {
		value = groupWith(top.get(outer), inner, s.Value)
	}
	if next := top.with(outer, value).encode(); !same(body, next) {
		return next, nil
	}
	return body, nil
}

// groupWith sets a member of a group such as device; a group of which nothing
// remains goes as a whole.
func groupWith(group jsontext.Value, name string, value jsontext.Value) jsontext.Value {
	members, err := readObject(group)
	if err != nil {
		members = nil // it was wrong, or not there
	}
	next := members.with(name, value)
	if len(next) == 0 && (err != nil || len(members) > 0) {
		return nil
	}
	return next.encode()
}

// object is a JSON object whose order and values are kept.
type object []struct {
	name  string
	value jsontext.Value
}

// readObject reads loosely: what is to be mended may be wrong in many ways.
func readObject(data []byte) (object, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, errors.New("no object")
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var o object
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		o = append(o, struct {
			name  string
			value jsontext.Value
		}{key, value.Clone()})
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o object) get(name string) jsontext.Value {
	for _, member := range o {
		if member.name == name {
			return member.value
		}
	}
	return nil
}

// with is the object with one member of that name, or none for a nil value.
func (o object) with(name string, value jsontext.Value) object {
	var next object
	placed := value == nil
	for _, member := range o {
		if member.name == name {
			if placed {
				continue
			}
			member.value, placed = value, true
		}
		next = append(next, member)
	}
	if !placed {
		next = append(next, struct {
			name  string
			value jsontext.Value
		}{name, value})
	}
	return next
}

func (o object) encode() []byte {
	out := []byte{'{'}
	for i, member := range o {
		if i > 0 {
			out = append(out, ',')
		}
		quoted, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(member.name, "\uFFFD"))
		if err != nil {
			continue // cannot be: it is valid now
		}
		out = append(append(append(out, quoted...), ':'), member.value...)
	}
	return append(out, '}')
}

// Differences names the fields of an event that differ between two bodies;
// "event" when one of them is no JSON object or when what differs is no field.
// The layout does not count.
func Differences(before, after []byte) []string {
	if bytes.Equal(before, after) || same(before, after) {
		return nil
	}
	old, errOld := readObject(before)
	now, errNow := readObject(after)
	if errOld != nil || errNow != nil {
		return []string{"event"}
	}
	var names []string
	for _, field := range event.Fields() {
		if !same(old.get(field), now.get(field)) {
			names = append(names, field)
		}
	}
	if len(names) == 0 {
		return []string{"event"}
	}
	return names
}

// same compares values without regard to their layout. Numbers are compared as
// they are written: as floating-point ones large ids would be equal that are not.
func same(a, b jsontext.Value) bool {
	x, y := a.Clone(), b.Clone()
	if len(x) == 0 || len(y) == 0 {
		return len(x) == len(y)
	}
	asWritten := []jsontext.Options{jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)}
	return x.Canonicalize(asWritten...) == nil && y.Canonicalize(asWritten...) == nil && bytes.Equal(x, y)
}
