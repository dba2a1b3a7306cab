package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ParseRules reads a JSON array of rules, whose members are the json names of
// Rule's fields and whose durations are texts like "250ms". It is strict: an
// unknown or doubled member is a mistake. The error has one line for each
// mistake, naming the rule by its place and name.
func ParseRules(data []byte) ([]Rule, error) {
	var items []jsontext.Value
	if err := json.Unmarshal(data, &items); err != nil {
		if serr, ok := errors.AsType[*json.SemanticError](err); ok && serr.JSONKind != 0 {
			return nil, errors.New("rules: want a JSON array of rules")
		}
		return nil, fmt.Errorf("rules: no valid JSON: %w", err)
	}
	if items == nil { // null
		return nil, errors.New("rules: want a JSON array of rules")
	}
	rules := make([]Rule, len(items))
	var mistakes []error
	for i, item := range items {
		unread := readRule(item, &rules[i])
		for _, err := range unread {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", place(i, rules[i].Name), err))
		}
		if len(unread) == 0 { // else what is missing is only what could not be read
			for _, err := range rules[i].mistakes() {
				mistakes = append(mistakes, fmt.Errorf("%s: %w", place(i, rules[i].Name), err))
			}
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return rules, nil
}

// readRule reads member by member, so that every mistake is told and not only
// the first.
func readRule(item jsontext.Value, rule *Rule) []error {
	if item.Kind() != '{' {
		return []error{errors.New("want a JSON object")}
	}
	var mistakes []error
	dec := jsontext.NewDecoder(bytes.NewReader(item))
	_, _ = dec.ReadToken() // the brace: item is valid JSON, Unmarshal has seen to it
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(mistakes, err)
		}
		member := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return append(mistakes, fmt.Errorf("%s: %w", member, err))
		}
		one := append(jsontext.Value(`{`), quote(member)...)
		one = append(append(append(one, ':'), value...), '}')
		if err := json.Unmarshal(one, rule, json.RejectUnknownMembers(true), json.WithUnmarshalers(durations)); err != nil {
			mistakes = append(mistakes, memberMistake(member, err))
		}
	}
	return mistakes
}

func memberMistake(member string, err error) error {
	serr, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return fmt.Errorf("%s: %w", member, err)
	}
	field := dotted(serr.JSONPointer)
	if field == "" {
		field = member
	}
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("%s: there is no such field", field)
	case errors.Is(err, errDuration):
		return fmt.Errorf("%s: %w", field, errDuration)
	case serr.GoType != nil:
		return fmt.Errorf("%s: want %s", field, kindName(serr.GoType.Kind().String()))
	}
	return fmt.Errorf("%s: %w", field, err)
}

func dotted(pointer jsontext.Pointer) string {
	text := ""
	for token := range pointer.Tokens() {
		if text != "" {
			text += "."
		}
		text += token
	}
	return text
}

func kindName(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "struct", "map":
		return "an object"
	}
	return "a string"
}

var errDuration = errors.New(`want a duration like "250ms" or "10s"`)

var durations = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, d *time.Duration) error {
	var text string
	if dec.PeekKind() != '"' {
		_ = dec.SkipValue()
		return errDuration
	}
	if err := json.UnmarshalDecode(dec, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errDuration
	}
	*d = parsed
	return nil
})

// toJSON writes what the sandbox shows: durations as ParseRules reads them,
// the members of maps in order.
func toJSON(w io.Writer, value any) error {
	err := json.MarshalWrite(w, value, json.Deterministic(true), jsontext.WithIndent("  "), json.WithMarshalers(
		json.MarshalFunc(func(d time.Duration) ([]byte, error) { return quote(d.String()), nil })))
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

func quote(text string) jsontext.Value {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return jsontext.Value(`""`) // no valid UTF-8; what the decoder gave us always is
	}
	return quoted
}
