package publisher

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
)

// ExportedLetter is one line of `dlq export`: a dead-lettered message that
// `publisher import` can put back, for its own provider only. Lines are compact
// JSON: an object of `provider`, `headers`, `headers_base64` (see MarshalJSON)
// and `body` or `body_base64`.
//
//nolint:recvcheck // encoding/json writes values only by methods of values
type ExportedLetter struct {
	Provider string
	Headers  nats.Header // the letter's, all of them, byte for byte
	// Body is the event byte for byte when it is JSON on one line; any other
	// body is BodyBase64. Exactly one of both is there.
	Body       jsontext.Value
	BodyBase64 []byte
}

// IsExportedLetter tells whether a line of JSON is an exported letter and not
// an event: an object with `provider` and either body at its top.
func IsExportedLetter(line []byte) bool {
	// Most lines are events and hold no such word at all.
	if !bytes.Contains(line, []byte(`"provider"`)) || !bytes.Contains(line, []byte(`"body`)) {
		return false
	}
	var top map[string]jsontext.Value
	if json.Unmarshal(line, &top) != nil {
		return false
	}
	_, provider := top["provider"]
	_, body := top["body"]
	_, raw := top["body_base64"]
	return provider && (body || raw)
}

// Replay is the message that puts the letter back, as PublishRaw takes it: for
// its provider alone and one generation older, with the app's own headers, the
// letter's id and history, and with the message id that `dlq replay` would use,
// so that doing both stores it once. An id of "" means that the line names none.
//
// An event that its provider could still not take is an *event.Violation; so is
// a letter that is wrong itself, in the field provider or headers.….
func (l *ExportedLetter) Replay() (id string, body []byte, opts []Option, err error) {
	switch {
	case l.Body != nil && l.BodyBase64 != nil:
		return "", nil, nil, &event.Violation{Field: "body", Problem: "must not stand beside body_base64"}
	case l.Body != nil:
		body = l.Body
	default:
		body = l.BodyBase64
	}
	if !slices.Contains(event.Providers(), l.Provider) {
		return "", nil, nil, &event.Violation{Field: "provider", Problem: "must be one of " + strings.Join(event.Providers(), ", ")}
	}
	ev, err := event.Decode(body)
	if err != nil {
		return "", nil, nil, err
	}
	if _, err := ev.RouteOnly(l.Provider); err != nil {
		return "", nil, nil, err
	}
	opts = []Option{To(l.Provider), l.own(len(body))}
	letter := l.Headers.Get("Dlq-Id")
	if letter == "" {
		return ev.ID, body, opts, nil
	}
	if err := checkID("headers.Dlq-Id", letter); err != nil {
		return "", nil, nil, err
	}
	generation := uint64(0)
	if text := l.Headers.Get("Dlq-Generation"); text != "" {
		if generation, err = strconv.ParseUint(text, 10, 31); err != nil {
			return "", nil, nil, &event.Violation{Field: "headers.Dlq-Generation", Problem: "must be a whole number from 0 to 2147483647"}
		}
	}
	next := strconv.FormatUint(generation+1, 10)
	opts = append(opts, Header("Dlq-Id", letter), Header("Dlq-Generation", next))
	for _, name := range []string{"Dlq-First-Failed-At", "Dlq-History"} {
		if value := l.Headers.Get(name); value != "" {
			opts = append(opts, Header(name, value))
		}
	}
	id = "replay:" + letter + ":" + next
	if trials, err := strconv.Atoi(l.Headers.Get("Dlq-Trials")); err == nil && trials > 0 {
		// Trials that failed did not count; the next replay needs an id of its own.
		id += "." + strconv.Itoa(trials)
	}
	return id, body, opts, nil
}

// roomForOurs is what a replay's other headers may take, with a long id and a
// full history.
const roomForOurs = 16 << 10

// own carries the app's own headers on, unless the replay could become too
// large for the stream by them.
func (l *ExportedLetter) own(body int) Option {
	header, size := nats.Header{}, body
	for name, values := range l.Headers {
		if !isOwn(name) {
			continue
		}
		header[name] = values
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return func(o *options) {
		if len(header) > 0 && size <= event.MaxBytes-roomForOurs {
			o.header = maps.Clone(header)
		}
	}
}

// isOwn leaves out the letter's headers, the broker's, and those that only the
// first reader of a message is to act upon.
func isOwn(name string) bool {
	lower := strings.ToLower(name)
	return CanWriteHeader(name) && !strings.HasPrefix(lower, "dlq-") && !strings.HasPrefix(lower, "nats-") &&
		!slices.Contains([]string{strings.ToLower(OutcomeReplyHeader), "status", "description"}, lower)
}
