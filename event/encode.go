package event

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Encode is the event's JSON, with properties and expiry_date as they came.
// The error is a *Violation: a text that is no UTF-8, properties or
// expiry_date that are no JSON, or more than MaxBytes. It judges no rule of a
// field: Validate does.
func (e *Event) Encode() ([]byte, error) {
	data, err := json.Marshal(e, jsontext.PreserveRawStrings(true))
	if err != nil {
		return nil, unencodable(err)
	}
	for _, name := range slices.Backward(e.blank) {
		if _, value := e.text([]byte(name)); *value == "" {
			// Never the only field: a decoded event has a token.
			data = append([]byte(`{"`+name+`":"",`), data[1:]...)
		}
	}
	if len(data) > MaxBytes {
		return nil, tooLarge(len(data))
	}
	return data, nil
}

// Validate says, for who publishes, what a worker would call an invalid event
// at any provider. The error is a *Violation.
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

// Expires is the expiry_date of a token that expires then.
func Expires(at time.Time) jsontext.Value {
	return jsontext.Value(`"` + at.UTC().Format(time.RFC3339) + `"`)
}

// NeverExpires is the expiry_date of a token that does not expire.
func NeverExpires() jsontext.Value { return jsontext.Value("false") }

func tooLarge(size int) *Violation {
	return &Violation{whole, fmt.Sprintf("%d bytes; at most %d are allowed", size, MaxBytes)}
}
