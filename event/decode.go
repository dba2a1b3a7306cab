package event

import (
	"bytes"

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
		return nil, tooLarge(len(data))
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
	if d.PeekKind() != '{' {
		return skipMismatch(d, field, "an object")
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
	value, err := d.ReadValue()
	if err != nil {
		return false, err
	}
	switch value.Kind() {
	case '"':
		*into, err = unquote(value)
		return true, err
	case 'n':
		return false, nil
	}
	return false, mismatch(value, field, "a string")
}

// readRaw keeps a value as it came, when it is of kind a or b.
func readRaw(d *jsontext.Decoder, field string, into *jsontext.Value, want string, a, b jsontext.Kind) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case a, b:
		*into = value.Clone()
		return nil
	case 'n':
		return nil
	}
	return mismatch(value, field, want)
}

func readDestinations(d *jsontext.Decoder, into *[]string) error {
	const field, want = "destinations", "an array of strings"
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '[':
	default:
		return skipMismatch(d, field, want)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if value.Kind() != '"' {
			return &Violation{field, kindName(value.Kind()) + " in it; " + want + " is required"}
		}
		name, err := unquote(value)
		if err != nil {
			return err
		}
		*into = append(*into, name)
	}
	_, err := d.ReadToken()
	return err
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

// mismatch says that a value is of the wrong kind.
func mismatch(value jsontext.Value, field, want string) error {
	return &Violation{field, kindName(value.Kind()) + "; " + want + " is required"}
}

// skipMismatch is mismatch for a value that is not read yet. Where there is
// none at all, it is the decoder's error.
func skipMismatch(d *jsontext.Decoder, field, want string) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	return mismatch(value, field, want)
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
