package publisher

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
)

// exportedLine is an ExportedLetter as its line has it: JSON has no bytes, and
// apps may put any into a header.
type exportedLine struct {
	Provider      string              `json:"provider"`
	Headers       nats.Header         `json:"headers,omitzero"`
	HeadersBase64 map[string][][]byte `json:"headers_base64,omitzero"` // the names are base64, too
	Body          jsontext.Value      `json:"body,omitzero"`
	BodyBase64    []byte              `json:"body_base64,omitzero"`
}

// MarshalJSON writes the letter. A header whose name or one of whose values is
// no UTF-8 stands in headers_base64 instead of headers, whole: name and values
// in base64.
func (l ExportedLetter) MarshalJSON() ([]byte, error) {
	line := exportedLine{Provider: strings.ToValidUTF8(l.Provider, "\ufffd"), Body: l.Body, BodyBase64: l.BodyBase64}
	for name, values := range l.Headers {
		if isText(name, values) {
			if line.Headers == nil {
				line.Headers = nats.Header{}
			}
			line.Headers[name] = values
			continue
		}
		if line.HeadersBase64 == nil {
			line.HeadersBase64 = map[string][][]byte{}
		}
		var raw [][]byte
		for _, value := range values {
			raw = append(raw, []byte(value))
		}
		line.HeadersBase64[base64.StdEncoding.EncodeToString([]byte(name))] = raw
	}
	return json.Marshal(line, json.Deterministic(true))
}

func isText(name string, values []string) bool {
	for _, value := range values {
		if !utf8.ValidString(value) {
			return false
		}
	}
	return utf8.ValidString(name)
}

// UnmarshalJSON reads what MarshalJSON writes: all headers stand in Headers.
func (l *ExportedLetter) UnmarshalJSON(text []byte) error {
	var line exportedLine
	if err := json.Unmarshal(text, &line); err != nil {
		return err
	}
	*l = ExportedLetter{Provider: line.Provider, Headers: line.Headers, Body: line.Body, BodyBase64: line.BodyBase64}
	for encoded, values := range line.HeadersBase64 {
		name, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return fmt.Errorf("headers_base64: a name is no base64: %w", err)
		}
		if l.Headers == nil {
			l.Headers = nats.Header{}
		}
		if _, twice := l.Headers[string(name)]; twice {
			return errors.New("headers_base64: a name stands in headers, too")
		}
		for _, value := range values {
			l.Headers[string(name)] = append(l.Headers[string(name)], string(value))
		}
	}
	return nil
}
