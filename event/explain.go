package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// whole is the field of a violation that no field is to blame for.
const whole = "event"

// maxNesting is the JSON decoder's own limit.
const maxNesting = 10000

// explain turns the decoder's error into a violation. The decoder's text
// quotes the data, so only the kind and the place of the error are used.
func explain(err error, data []byte) *Violation {
	if v, ok := errors.AsType[*Violation](err); ok {
		return v
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return &Violation{whole, "empty; a JSON object is required"}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Violation{whole, "JSON that ends too early; one whole object is required"}
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return &Violation{whole, "not readable; a JSON object is required"}
	}
	field, exact := fieldAt(syntax.JSONPointer)
	switch at := syntax.ByteOffset; {
	case errors.Is(err, jsontext.ErrDuplicateName) && exact:
		return &Violation{field, "there twice; once is allowed"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &Violation{field, "a name twice in one object; each is allowed once"}
	case strings.Count(string(syntax.JSONPointer), "/") >= maxNesting-1:
		return &Violation{field, fmt.Sprintf("nested too deeply; fewer than %d levels are allowed", maxNesting)}
	case !utf8.Valid(data):
		return &Violation{field, fmt.Sprintf("invalid UTF-8, at byte %d; JSON in UTF-8 is required", at)}
	case jsontext.Value(data[:at]).IsValid():
		return &Violation{whole, fmt.Sprintf("more after the object, from byte %d on; one JSON object is required", at)}
	default:
		return &Violation{field, fmt.Sprintf("no valid JSON, at byte %d; one JSON object is required", at)}
	}
}

// fieldAt names the known field at or above a place in the event, and says
// whether it is the very place. A name that is not ours is never repeated: it
// may be personal data.
func fieldAt(at jsontext.Pointer) (field string, exact bool) {
	path := slices.Collect(at.Tokens())
	if len(path) == 0 {
		return whole, false
	}
	var member func([]byte) (string, *string)
	switch path[0] {
	case "keys":
		member = new(Keys).text
	case "device":
		member = new(Device).text
	case "tracking":
		member = new(Tracking).text
	case "properties", "expiry_date", "destinations":
	default:
		if field, into := new(Event).text([]byte(path[0])); into != nil {
			return field, len(path) == 1
		}
		return whole, false
	}
	if member != nil && len(path) > 1 {
		if field, into := member([]byte(path[1])); into != nil {
			return field, len(path) == 2
		}
	}
	return path[0], len(path) == 1
}

// unencodable is explain for an event that was built, not read.
func unencodable(err error) *Violation {
	var at jsontext.Pointer
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		at = e.JSONPointer
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = e.JSONPointer
	}
	switch field, _ := fieldAt(at); field {
	case "properties", "expiry_date":
		return &Violation{field, "no valid JSON; it goes into the event as it is"}
	default:
		return &Violation{field, "invalid UTF-8; valid UTF-8 is required"}
	}
}
