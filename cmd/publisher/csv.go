package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
)

// column is a field that a CSV header may name.
type column struct {
	name string
	set  func(*event.Event, string)
}

// columns lists the fields of an event, nested ones with a dot.
func columns() []column {
	keys := func(ev *event.Event) *event.Keys { return made(&ev.Keys) }
	device := func(ev *event.Event) *event.Device { return made(&ev.Device) }
	tracking := func(ev *event.Event) *event.Tracking { return made(&ev.Tracking) }
	return []column{
		{"id", func(ev *event.Event, s string) { ev.ID = s }},
		{"user_id", func(ev *event.Event, s string) { ev.UserID = s }},
		{"object_id", func(ev *event.Event, s string) { ev.ObjectID = s }},
		{"token", func(ev *event.Event, s string) { ev.Token = s }},
		{"type", func(ev *event.Event, s string) { ev.Type = s }},
		{"keys.p256dh", func(ev *event.Event, s string) { keys(ev).P256dh = s }},
		{"keys.auth", func(ev *event.Event, s string) { keys(ev).Auth = s }},
		{"provider_key", func(ev *event.Event, s string) { ev.ProviderKey = s }},
		{"device.app_id", func(ev *event.Event, s string) { device(ev).AppID = s }},
		{"device.ad_id", func(ev *event.Event, s string) { device(ev).AdID = s }},
		{"device.device_id", func(ev *event.Event, s string) { device(ev).DeviceID = s }},
		{"device.platform", func(ev *event.Event, s string) { device(ev).Platform = s }},
		{"device.manufacturer", func(ev *event.Event, s string) { device(ev).Manufacturer = s }},
		{"device.model", func(ev *event.Event, s string) { device(ev).Model = s }},
		{"tracking.os_version", func(ev *event.Event, s string) { tracking(ev).OSVersion = s }},
		{"tracking.ip", func(ev *event.Event, s string) { tracking(ev).IP = s }},
		{"tracking.lat", func(ev *event.Event, s string) { tracking(ev).Lat = s }},
		{"tracking.long", func(ev *event.Event, s string) { tracking(ev).Long = s }},
		{"properties", func(ev *event.Event, s string) { ev.Properties = jsontext.Value(s) }},
		{"expiry_date", func(ev *event.Event, s string) { ev.ExpiryDate = expiry(s) }},
		{"destinations", func(ev *event.Event, s string) {
			ev.Destinations = strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ' ' })
		}},
		{"registered_at", func(ev *event.Event, s string) { ev.RegisteredAt = s }},
	}
}

func made[T any](group **T) *T {
	if *group == nil {
		*group = new(T)
	}
	return *group
}

// table reads the rows of a CSV. A row is one line: a quoted field ends on the
// line that it begins on, so that one forgotten quote costs one line and not
// the rest of the file.
type table struct {
	line   []byte // what csv reads next
	csv    *csv.Reader
	header []column
}

// newTable reads the header.
func newTable(header []byte) (*table, error) {
	t := &table{}
	t.csv = csv.NewReader((*tableLine)(t))
	t.csv.ReuseRecord = true
	names, err := t.row(header)
	if err != nil {
		return nil, fmt.Errorf("CSV header: %w", err)
	}
	known := columns()
	var unknown, all []string
	for _, c := range known {
		all = append(all, c.name)
	}
	for _, name := range names {
		i := slices.Index(all, name)
		switch {
		case i < 0:
			unknown = append(unknown, fmt.Sprintf("%q", name))
		case slices.ContainsFunc(t.header, func(c column) bool { return c.name == name }):
			return nil, fmt.Errorf("CSV header: column %q is there twice", name)
		default:
			t.header = append(t.header, known[i])
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("CSV header: unknown column %s; a comma between columns, and these are allowed: %s",
			strings.Join(unknown, ", "), strings.Join(all, ", "))
	}
	return t, nil
}

// read makes a message of a row; see reader.
func (t *table) read(text []byte, number int64) (message, error) {
	cells, err := t.row(text)
	if err != nil {
		return message{}, err
	}
	if len(cells) != len(t.header) {
		return message{}, &event.Violation{Field: "event", Problem: fmt.Sprintf("%d columns; the header has %d", len(cells), len(t.header))}
	}
	var ev event.Event
	for i, cell := range cells {
		if cell != "" {
			t.header[i].set(&ev, cell)
		}
	}
	body, err := ev.Encode()
	if err != nil {
		return message{}, err
	}
	read, err := decode(body)
	if err != nil {
		return message{}, err
	}
	if read.ID == "" {
		return identified(read, number)
	}
	return message{id: read.ID, body: body}, nil
}

// row splits one line.
func (t *table) row(text []byte) ([]string, error) {
	t.line = text
	t.csv.FieldsPerRecord = -1 // counted by read, in its own words
	cells, err := t.csv.Read()
	t.line = nil
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		problem := "no CSV: " + parse.Err.Error()
		if errors.Is(err, csv.ErrQuote) {
			problem = "no CSV: a quote without its other end; a field must end on its line, with quotes inside doubled"
		}
		return nil, &event.Violation{Field: "event", Problem: problem}
	}
	return cells, err
}

// tableLine feeds csv one line, and then the end until the next is there.
type tableLine table

func (t *tableLine) Read(p []byte) (int, error) {
	if len(t.line) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.line)
	t.line = t.line[n:]
	return n, nil
}
