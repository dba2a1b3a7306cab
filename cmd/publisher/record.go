package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// message is what one line of the input becomes.
type message struct {
	id      string
	body    []byte
	options []publisher.Option
}

// reader makes a message of a line's text. Its error is an *event.Violation:
// the line is bad.
type reader func(text []byte, number int64) (message, error)

// readJSON reads an event, or a line of `dlq export`.
func readJSON(text []byte, number int64) (message, error) {
	if publisher.IsExportedLetter(text) {
		return readLetter(text, number)
	}
	ev, err := decode(text)
	if err != nil {
		return message{}, err
	}
	if ev.ID == "" {
		return identified(ev, number)
	}
	return message{id: ev.ID, body: bytes.Clone(text)}, nil
}

func readLetter(text []byte, number int64) (message, error) {
	var letter publisher.ExportedLetter
	if err := json.Unmarshal(text, &letter); err != nil {
		return message{}, &event.Violation{Field: "event", Problem: "no line of dlq export: provider, headers (or headers_base64) and body (or body_base64) are needed"}
	}
	id, body, options, err := letter.Replay()
	if id == "" {
		id = lineID(number, body)
	}
	return message{id: id, body: body, options: options}, err
}

// decode reads an event that every provider it is addressed to can take.
func decode(text []byte) (*event.Event, error) {
	ev, err := event.Decode(text)
	if err != nil {
		return nil, err
	}
	for _, provider := range event.Providers() {
		if _, err := ev.Route(provider); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// identified gives an event without an id one that follows from its content
// and its line, so that a second run gives it the same.
func identified(ev *event.Event, number int64) (message, error) {
	body, err := ev.Encode()
	if err != nil {
		return message{}, err
	}
	ev.ID = lineID(number, body)
	body, err = ev.Encode()
	return message{id: ev.ID, body: body}, err
}

func lineID(number int64, body []byte) string {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(number))
	h.Write(n[:])
	h.Write(body)
	return "import-" + base32.StdEncoding.EncodeToString(h.Sum(nil))[:26]
}

// violation is what is wrong with a line; nil when err is something else.
func violation(err error) *event.Violation {
	v, _ := errors.AsType[*event.Violation](err)
	return v
}
