package dlq

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
)

// Names reports whether an event's body names all of these; an empty one
// counts as named. A valid event's own fields decide. Any other body is
// searched as text, for what cannot be read may still be a person's: see
// Search.
func Names(body []byte, token, user, object string) bool {
	found, _ := Search(nil, body, token, user, object)
	return found
}

// Search is Names for a whole message, and tells whether its body is a valid
// event. It looks where Names does, and where that says nothing of a value, in
// the headers too.
//
//   - A valid event's field decides, unless it is absent: then a header that
//     has the value.
//   - JSON that is no valid event names what any text in it is, or has in it as
//     a whole word where the text is JSON, a form or the like itself; numbers
//     count as they are written.
//   - Any other body names what stands in it as a whole word, see spellings.
//
// Values of one or two characters stand everywhere: they count only as a
// member of their field's name, and in what is no JSON only between quotes.
func Search(header nats.Header, body []byte, token, user, object string) (found, valid bool) {
	ev, err := event.Decode(body)
	if err != nil {
		ev = &event.Event{}
	}
	valid = err == nil
	for _, want := range []wanted{{"token", token, ev.Token}, {"user_id", user, ev.UserID}, {"object_id", object, ev.ObjectID}} {
		switch {
		case want.value == "", want.value == want.has:
		case want.has != "", !want.inHeaders(header) && (valid || !want.inBody(body)):
			return false, valid
		}
	}
	return true, valid
}

// wanted is a value that a message may name.
type wanted struct {
	name, value string
	has         string // what a valid event has there
}

// short values are no words to search for.
func (w wanted) short() bool { return utf8.RuneCountInString(w.value) < 3 }

// inHeaders looks at the app's own headers. The letter's were never anybody's.
func (w wanted) inHeaders(header nats.Header) bool {
	for name, values := range header {
		if isLetters(name) || w.short() {
			continue
		}
		if slices.ContainsFunc(values, w.isText) {
			return true
		}
	}
	return false
}

// isText reports whether a text is the value, or has it among others.
func (w wanted) isText(text string) bool {
	return text == w.value || strings.ContainsAny(text, "{}[]<>()=&;,'\"|\\%") && w.stands(text) || !utf8.ValidString(text) && w.stands(text)
}

func (w wanted) inBody(body []byte) bool {
	if texts, whole := textsOf(body); whole {
		return slices.ContainsFunc(texts, w.isIn)
	}
	return w.stands(string(body))
}

// stands reports whether the value stands in a text, in any spelling.
func (w wanted) stands(text string) bool {
	return slices.ContainsFunc(spellings(text), func(text string) bool {
		if w.short() {
			return strings.Contains(text, `"`+w.value+`"`) || strings.Contains(text, "'"+w.value+"'")
		}
		return hasWord(text, w.value)
	})
}

func (w wanted) isIn(t text) bool {
	switch {
	case w.short(), t.number:
		return t.value == w.value && (t.member == w.name || !w.short())
	}
	return w.isText(t.value)
}

// text is a text or a number of a JSON value.
type text struct {
	member string // in or below which it stands
	value  string
	number bool
}

// textsOf lists all texts and numbers of a JSON value, names of members too,
// and reports whether the body is one.
func textsOf(body []byte) (list []text, whole bool) {
	if !utf8.Valid(body) {
		return nil, false
	}
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	member := ""
	for {
		token, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		switch token.Kind() {
		case '"':
			list = append(list, text{member, token.String(), false})
			if kind, length := d.StackIndex(d.StackDepth()); kind == '{' && length%2 == 1 {
				list[len(list)-1].member, member = "", token.String()
			}
		case '0':
			list = append(list, text{member, token.String(), true})
		}
		if d.StackDepth() == 0 {
			_, err := d.ReadToken()
			return list, errors.Is(err, io.EOF)
		}
	}
}
