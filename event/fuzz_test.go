package event_test

import (
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

func FuzzDecode(f *testing.F) {
	for _, group := range [][]testcase{fieldCases(), addressCases(), jsonCases()} {
		for _, c := range group {
			if len(c.message) < 1000 { // the large ones stop the fuzzer for minutes, which then minimizes them
				f.Add([]byte(c.message))
			}
		}
	}
	f.Add([]byte(full))
	f.Add([]byte(short))

	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := event.Decode(data)
		if err != nil {
			quotesNothing(t, err, data)
			return
		}
		for _, provider := range event.Providers() {
			for _, route := range []func(string) (event.Route, error){e.Route, e.RouteOnly} {
				if _, err := route(provider); err != nil {
					quotesNothing(t, err, data)
				}
			}
		}
		encoded, err := e.Encode()
		if err != nil {
			// Encoding can need more bytes than the message had: an empty
			// name is short, an escape is long.
			if len(data) < event.MaxBytes/2 {
				t.Fatalf("encode: %v", err)
			}
			return
		}
		again, err := event.Decode(encoded)
		if err != nil || !equal(e, again) {
			t.Fatalf("%v\n%+v\nwant %+v\nfrom %s", err, again, e, encoded)
		}
	})
}

// quotesNothing fails when err is no violation that names a field, or when it
// repeats a string of the message that is long enough to mean something.
func quotesNothing(t *testing.T, err error, data []byte) {
	t.Helper()
	v, ok := errors.AsType[*event.Violation](err)
	if !ok || v.Field == "" || v.Problem == "" {
		t.Fatalf("%T %v; want a violation of a field", err, err)
	}
	var message map[string]any
	if stdjson.Unmarshal(data, &message) != nil {
		return
	}
	for _, field := range []string{"token", "user_id", "object_id"} {
		// Our own words are shorter than this between two blanks.
		if value, _ := message[field].(string); len(value) >= 16 && strings.Contains(v.Error(), value) {
			t.Fatalf("%q quotes %s", v.Error(), field)
		}
	}
}
