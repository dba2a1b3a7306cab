package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads one message. The error is a *Violation: the event is invalid
// at every provider. What only one provider cares about is judged by Route.
//
// The JSON must be strict: one object, no duplicate names at any depth, valid
// UTF-8, names in their exact letter case. Unknown names are ignored. The
// event keeps nothing of data.
func Decode(data []byte) (*Event, error) {
	if len(data) > MaxBytes {
		return nil, &Violation{whole, fmt.Sprintf("%d bytes; at most %d are allowed", len(data), MaxBytes)}
	}
	e := new(Event)
	if err := json.Unmarshal(data, (*wire)(e)); err != nil {
		return nil, explain(err, data)
	}
	if v := e.check(); v != nil {
		return nil, v
	}
	return e, nil
}

// whole is the field of a violation that no field is to blame for.
const whole = "event"

// wire is an Event as it is read. Reading is written out, not left to
// reflection, because presence counts (an empty user_id is carried, an absent
// one is not), and because every violation names its field.
type wire Event

// UnmarshalJSONFrom reads the event's object.
func (w *wire) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	e := (*Event)(w)
	return readObject(d, whole, func(name []byte) error {
		if field, into := e.text(name); into != nil {
			carried, err := readString(d, field, into)
			if carried && *into == "" {
				e.blank = append(e.blank, field)
			}
			return err
		}
		switch string(name) {
		case "keys":
			return readGroup(d, "keys", &e.Keys, (*Keys).text)
		case "device":
			return readGroup(d, "device", &e.Device, (*Device).text)
		case "tracking":
			return readGroup(d, "tracking", &e.Tracking, (*Tracking).text)
		case "properties":
			return readRaw(d, "properties", &e.Properties, "an object", '{', '{')
		case "expiry_date":
			return readRaw(d, "expiry_date", &e.ExpiryDate, "a string or false", '"', 'f')
		case "destinations":
			return readDestinations(d, &e.Destinations)
		}
		return d.SkipValue() // an unknown field; its inside must be strict JSON too
	})
}

// readObject calls member for each name, with the decoder before its value.
func readObject(d *jsontext.Decoder, field string, member func(name []byte) error) error {
	if k := d.PeekKind(); k != '{' {
		return mismatch(d, k, field, "an object")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		quoted, err := d.ReadValue()
		if err != nil {
			return err
		}
		name := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if name, err = jsontext.AppendUnquote(nil, quoted); err != nil {
				return err
			}
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// readGroup reads an object of optional strings; null is absent.
func readGroup[T any](d *jsontext.Decoder, field string, into **T, text func(*T, []byte) (string, *string)) error {
	if d.PeekKind() == 'n' {
		return d.SkipValue()
	}
	group := new(T)
	*into = group
	return readObject(d, field, func(name []byte) error {
		if field, into := text(group, name); into != nil {
			_, err := readString(d, field, into)
			return err
		}
		return d.SkipValue()
	})
}

// readString reports whether a string was there; null is absent.
func readString(d *jsontext.Decoder, field string, into *string) (bool, error) {
	switch k := d.PeekKind(); k {
	case '"':
		quoted, err := d.ReadValue()
		if err != nil {
			return false, err
		}
		*into, err = unquote(quoted)
		return true, err
	case 'n':
		return false, d.SkipValue()
	default:
		return false, mismatch(d, k, field, "a string")
	}
}

// readRaw keeps a value as it came, when it is of kind a or b.
func readRaw(d *jsontext.Decoder, field string, into *jsontext.Value, want string, a, b jsontext.Kind) error {
	switch k := d.PeekKind(); k {
	case a, b:
		raw, err := d.ReadValue()
		*into = raw.Clone()
		return err
	case 'n':
		return d.SkipValue()
	default:
		return mismatch(d, k, field, want)
	}
}

func readDestinations(d *jsontext.Decoder, into *[]string) error {
	const field, want = "destinations", "an array of strings"
	switch k := d.PeekKind(); k {
	case 'n':
		return d.SkipValue()
	case '[':
	default:
		return mismatch(d, k, field, want)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for {
		switch k := d.PeekKind(); k {
		case ']':
			_, err := d.ReadToken()
			return err
		case '"':
			quoted, err := d.ReadValue()
			if err != nil {
				return err
			}
			name, err := unquote(quoted)
			if err != nil {
				return err
			}
			*into = append(*into, name)
		default:
			return mismatch(d, k, field, want)
		}
	}
}

// unquote copies a JSON string's text. The words that most events repeat cost
// no copy.
func unquote(quoted []byte) (string, error) {
	text := quoted[1 : len(quoted)-1]
	switch string(text) {
	case "fcm":
		return "fcm", nil
	case "apns":
		return "apns", nil
	case CleverTap:
		return CleverTap, nil
	case Courier:
		return Courier, nil
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text), nil
	}
	plain, err := jsontext.AppendUnquote(nil, quoted)
	return string(plain), err
}

// mismatch says that a field is of the wrong kind; where there is no value at
// all, it is the decoder's error.
func mismatch(d *jsontext.Decoder, k jsontext.Kind, field, want string) error {
	if k == jsontext.KindInvalid || k == '}' || k == ']' {
		return d.SkipValue()
	}
	return &Violation{field, kindName(k) + "; " + want + " is allowed"}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	}
	return "null"
}

// explain turns the decoder's error into a violation. The decoder's own text
// quotes the data, so nothing of it is passed on but kind and place.
func explain(err error, data []byte) *Violation {
	if v, ok := errors.AsType[*Violation](err); ok {
		return v
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return &Violation{whole, "empty; a JSON object is required"}
	}
	if !utf8.Valid(data) {
		return &Violation{whole, "invalid UTF-8; a JSON object in UTF-8 is required"}
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Violation{whole, "JSON that ends too early; one complete object is required"}
	case ok && errors.Is(err, jsontext.ErrDuplicateName):
		return duplicate(syntax.JSONPointer)
	case ok && strings.Count(string(syntax.JSONPointer), "/") > maxNesting:
		return &Violation{whole, fmt.Sprintf("nested deeper than %d levels; less is required", maxNesting)}
	case ok && jsontext.Value(data[:syntax.ByteOffset]).IsValid():
		return &Violation{whole, fmt.Sprintf("more after the object, from byte %d on; one JSON object is required", syntax.ByteOffset)}
	case ok:
		return &Violation{whole, fmt.Sprintf("not JSON, at byte %d; one JSON object is required", syntax.ByteOffset)}
	}
	return &Violation{whole, "not readable; one JSON object is required"}
}

// maxNesting is the decoder's own limit.
const maxNesting = 10000

// duplicate names the known field at or above the name that stands twice. An
// unknown name is not repeated: it is data.
func duplicate(at jsontext.Pointer) *Violation {
	const problem = "a name twice in one object; each once is allowed"
	var e Event
	top, rest, nested := strings.Cut(strings.TrimPrefix(string(at), "/"), "/")
	if field, into := e.text([]byte(top)); into != nil {
		return &Violation{field, "twice; once is allowed"}
	}
	_ = rest
	_ = nested
	return &Violation{whole, problem}
}
