package courier

import (
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

// frameBytes is what a body needs besides its values.
const frameBytes = 320

// Prepare writes the event's path and body. What the event does not carry is
// left out, never sent as null or empty.
func (c *Client) Prepare(e *event.Event) (providers.Record, error) {
	user, err := segment("user_id", e.UserID)
	if err != nil {
		return providers.Record{}, err
	}
	token, err := segment("token", e.Token)
	if err != nil {
		return providers.Record{}, err
	}
	key := e.CourierKey()
	if key == "" {
		return providers.Record{}, &event.Violation{Field: "provider_key", Problem: "absent and none follows from type; courier requires one"}
	}

	w := writer{out: make([]byte, 0, frameBytes+len(e.Token)+len(e.Properties))}
	w.member("", "provider_key", key)
	w.json("properties", e.Properties)
	if d := e.Device; d != nil && *d != (event.Device{}) {
		w.open("device")
		w.member("device.", "app_id", d.AppID)
		w.member("device.", "ad_id", d.AdID)
		w.member("device.", "device_id", d.DeviceID)
		w.member("device.", "platform", d.Platform)
		w.member("device.", "manufacturer", d.Manufacturer)
		w.member("device.", "model", d.Model)
		w.close()
	}
	if t := e.Tracking; t != nil && *t != (event.Tracking{}) {
		w.open("tracking")
		w.member("tracking.", "os_version", t.OSVersion)
		w.member("tracking.", "ip", t.IP)
		w.member("tracking.", "lat", t.Lat)
		w.member("tracking.", "long", t.Long)
		w.close()
	}
	w.json("expiry_date", e.ExpiryDate)
	if c.bodyToken {
		w.member("", "token", e.Token)
	}
	if w.problem != nil {
		return providers.Record{}, w.problem
	}
	w.out = append(w.out, '}')
	return providers.Record{Event: e, Path: "/users/" + user + "/tokens/" + token, Body: w.out}, nil
}

// segment escapes a value for the path. Segments of dots would walk up it.
func segment(field, value string) (string, error) {
	switch value {
	case "":
		return "", &event.Violation{Field: field, Problem: "absent; courier requires it"}
	case ".", "..":
		return "", &event.Violation{Field: field, Problem: "a path segment of dots; courier cannot take it"}
	}
	return url.PathEscape(value), nil
}

// writer writes the members of a JSON object that have a value, and remembers
// the first that cannot be written.
type writer struct {
	out     []byte
	inside  bool // the object under way has a member
	problem *event.Violation
}

func (w *writer) name(name string) {
	switch {
	case w.inside:
		w.out = append(w.out, ',')
	default:
		w.out = append(w.out, '{')
	}
	w.inside = true
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

func (w *writer) member(parent, name, value string) {
	if value == "" {
		return
	}
	w.name(name)
	var err error
	if w.out, err = jsontext.AppendQuote(w.out, value); err != nil && w.problem == nil {
		w.problem = &event.Violation{Field: parent + name, Problem: "not valid UTF-8"}
	}
}

// json passes a value on as it came, unless there is nothing in it.
func (w *writer) json(name string, value jsontext.Value) {
	switch string(value) {
	case "", "null", `""`, "{}":
		return
	}
	w.name(name)
	w.out = append(w.out, value...)
}

func (w *writer) open(name string) {
	w.name(name)
	w.inside = false
}

func (w *writer) close() {
	w.out = append(w.out, '}')
	w.inside = true
}
