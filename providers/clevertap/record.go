package clevertap

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

// frameBytes is what a record needs besides its values.
const frameBytes = 128

// Prepare writes the event as one object of the upload's array "d". Only
// objectId identifies the user: CleverTap does not take tokens for others.
func (c *Client) Prepare(e *event.Event) (providers.Record, error) {
	size := frameBytes + len(e.Token) + len(e.ObjectID)
	if e.Keys != nil {
		size += len(e.Keys.P256dh) + len(e.Keys.Auth)
	}
	w := writer{out: make([]byte, 0, size)}
	w.raw(`{"type":"token","tokenData":{"id":`).value("token", e.Token)
	w.raw(`,"type":`).value("type", e.Type)
	switch {
	case e.Type != "chrome":
	case e.Keys == nil:
		w.refuse("keys", "absent; clevertap requires them for chrome")
	default:
		w.raw(`,"keys":{"p256dh":`).value("keys.p256dh", e.Keys.P256dh)
		w.raw(`,"auth":`).value("keys.auth", e.Keys.Auth)
		w.raw(`}`)
	}
	w.raw(`},"objectId":`).value("object_id", e.ObjectID)
	w.raw(`}`)
	if w.problem != nil {
		return providers.Record{}, w.problem
	}
	return providers.Record{Event: e, Body: w.out}, nil
}

// writer remembers the first value that cannot be written.
type writer struct {
	out     []byte
	problem *event.Violation
}

func (w *writer) raw(s string) *writer {
	w.out = append(w.out, s...)
	return w
}

func (w *writer) value(field, s string) {
	var err error
	if w.out, err = jsontext.AppendQuote(w.out, s); err != nil {
		w.refuse(field, "not valid UTF-8")
	}
	if s == "" {
		w.refuse(field, "absent; clevertap requires it")
	}
}

func (w *writer) refuse(field, problem string) {
	if w.problem == nil {
		w.problem = &event.Violation{Field: field, Problem: problem}
	}
}
