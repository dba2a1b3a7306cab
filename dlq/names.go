package dlq

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
)

// Names reports whether an event's body names all of these; an empty one
// counts as named. A body that is no valid event is looked at as loosely as
// need be: what cannot be read may still be a person's.
func Names(body []byte, token, user, object string) bool {
	if ev, err := event.Decode(body); err == nil {
		return is(token, ev.Token) && is(user, ev.UserID) && is(object, ev.ObjectID)
	}
	found, whole := members(body)
	for _, want := range []struct{ name, value string }{{"token", token}, {"user_id", user}, {"object_id", object}} {
		if want.value == "" || found[want.name+"="+want.value] {
			continue
		}
		if whole || !quotes(body, want.value) {
			return false
		}
	}
	return true
}

func is(want, value string) bool { return want == "" || want == value }

// quotes reports whether the value stands in the body as a JSON string.
func quotes(body []byte, value string) bool {
	quoted, err := jsontext.AppendQuote(nil, value)
	return err == nil && bytes.Contains(body, quoted)
}

// members are the texts and numbers of the top object, as "name=value", and
// whether the body could be read to its end.
func members(body []byte) (found map[string]bool, whole bool) {
	found = map[string]bool{}
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return found, false
	}
	if _, err := d.ReadToken(); err != nil {
		return found, false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return found, false
		}
		key := name.String() // its token is gone after the next read
		value, err := d.ReadValue()
		if err != nil {
			return found, false
		}
		switch value.Kind() {
		case '"':
			text, _ := jsontext.AppendUnquote(nil, value) // invalid UTF-8 becomes U+FFFD
			found[key+"="+string(text)] = true
		case '0':
			found[key+"="+strings.TrimSpace(string(value))] = true
		}
	}
	_, err := d.ReadToken()
	return found, err == nil
}
