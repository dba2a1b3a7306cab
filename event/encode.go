package event

import (
	_ "embed"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed schema.json
var schema string

// Schema is the event as a JSON Schema, draft 2020-12. What it accepts no
// provider calls an invalid event, save for what a schema cannot say: sizes
// in bytes, duplicate names, days that a month does not have.
func Schema() []byte { return []byte(schema) }

// Encode is the event's JSON. The error is a *Violation: properties or
// expiry_date hold no JSON, a text is no UTF-8, or the whole is too large.
func (e *Event) Encode() ([]byte, error) {
	data, err := json.Marshal(e, jsontext.PreserveRawStrings(true))
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Validate is for who publishes: it says what any provider would call an
// invalid event, as a *Violation.
func (e *Event) Validate() error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	read, err := Decode(data)
	if err != nil {
		return err
	}
	for _, provider := range Providers() {
		if _, err := read.Route(provider); err != nil {
			return err
		}
	}
	return nil
}

// Expires is an expiry_date.
func Expires(at time.Time) jsontext.Value {
	return jsontext.Value(`"` + at.UTC().Format(time.RFC3339) + `"`)
}

// NeverExpires is the expiry_date of a token that does not expire.
func NeverExpires() jsontext.Value { return jsontext.Value("false") }
