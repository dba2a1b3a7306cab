package event_test

import (
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
)

// equal compares all of two events, white space inside their raw JSON apart.
func equal(a, b *event.Event) bool {
	compact := func(e event.Event) event.Event {
		for _, raw := range []*jsontext.Value{&e.Properties, &e.ExpiryDate} {
			if *raw != nil {
				*raw = raw.Clone()
				if err := raw.Compact(); err != nil {
					return event.Event{}
				}
			}
		}
		return e
	}
	return reflect.DeepEqual(compact(*a), compact(*b))
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		event event.Event
		want  string
	}{
		{"least", event.Event{Token: "t", ObjectID: "o", Type: "fcm"}, `{"object_id":"o","token":"t","type":"fcm"}`},
		{"groups and raw values", event.Event{Token: "t", Device: &event.Device{Model: "m"}, Tracking: &event.Tracking{},
			Properties: []byte(`{ "b": 1.0, "a": "\u0041" }`), ExpiryDate: event.NeverExpires()},
			`{"token":"t","device":{"model":"m"},"tracking":{},"properties":{"b":1.0,"a":"\u0041"},"expiry_date":false}`},
		{"a date", event.Event{Token: "t", ExpiryDate: event.Expires(time.Date(2030, 1, 1, 2, 0, 0, 0, time.FixedZone("", 7200)))},
			`{"token":"t","expiry_date":"2030-01-01T00:00:00Z"}`},
		{"characters", event.Event{Token: `a"<&>é`}, `{"token":"a\"<&>é"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.event.Encode()
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

// Every message that decodes comes back the same, so that a letter's body or
// a republished event means what the first one meant.
func TestEncodeDecode(t *testing.T) {
	t.Parallel()
	for _, group := range [][]testcase{fieldCases(), addressCases(), jsonCases(), {{name: "full", message: full}, {name: "short", message: short}}} {
		for _, c := range group {
			e, err := event.Decode([]byte(c.message))
			if err != nil {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				data, err := e.Encode()
				if err != nil {
					t.Fatal(err)
				}
				again, err := event.Decode(data)
				if err != nil || !equal(e, again) {
					t.Errorf("%v, %+v\nwant %+v\nfrom %s", err, again, e, data)
				}
			})
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		event event.Event
		field string
	}{
		{"invalid UTF-8", event.Event{Token: "\xff"}, "token"},
		{"invalid UTF-8 in device", event.Event{Token: "t", Device: &event.Device{Model: "\xff"}}, "device.model"},
		{"invalid UTF-8 in destinations", event.Event{Token: "t", Destinations: []string{"\xff"}}, "destinations"},
		{"half an object", event.Event{Token: "t", Properties: []byte("{")}, "properties"},
		{"empty properties", event.Event{Token: "t", Properties: []byte{}}, "properties"},
		{"duplicate name", event.Event{Token: "t", Properties: []byte(`{"a":1,"a":1}`)}, "properties"},
		{"a date without quotes", event.Event{Token: "t", ExpiryDate: []byte("2030-01-01")}, "expiry_date"},
		{"too large", event.Event{Token: strings.Repeat("x", event.MaxBytes)}, "event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data, err := c.event.Encode()
			if err == nil {
				t.Fatalf("%.100s; want a violation", data)
			}
			if got := blamed(t, err); got != c.field {
				t.Errorf("%v; want field %s", err, c.field)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	valid := event.Event{Token: "t", Type: "fcm", ObjectID: "o", UserID: "u"}
	for _, c := range []struct {
		name   string
		change func(*event.Event)
		field  string // empty when valid
	}{
		{"as it is", func(*event.Event) {}, ""},
		{"one identity", func(e *event.Event) { e.UserID = "" }, ""},
		{"no token", func(e *event.Event) { e.Token = "" }, "token"},
		{"token of dots", func(e *event.Event) { e.Token = ".." }, "token"},
		{"token with a space", func(e *event.Event) { e.Token = "a b" }, "token"},
		{"token with invalid UTF-8", func(e *event.Event) { e.Token = "\xff" }, "token"},
		{"no identity", func(e *event.Event) { e.UserID, e.ObjectID = "", "" }, "destinations"},
		{"wrong type", func(e *event.Event) { e.Type = "x" }, "type"},
		{"no type", func(e *event.Event) { e.Type = "" }, "type"},
		{"no type, no object_id", func(e *event.Event) { e.Type, e.ObjectID = "", "" }, "provider_key"},
		{"chrome without keys", func(e *event.Event) { e.Type = "chrome" }, "keys"},
		{"named without identity", func(e *event.Event) { e.UserID, e.Destinations = "", []string{"courier"} }, "user_id"},
		{"unknown destination", func(e *event.Event) { e.Destinations = []string{"x"} }, "destinations"},
		{"properties no object", func(e *event.Event) { e.Properties = []byte("[]") }, "properties"},
		{"properties null", func(e *event.Event) { e.Properties = []byte("null") }, ""},
		{"expiry_date true", func(e *event.Event) { e.ExpiryDate = []byte("true") }, "expiry_date"},
		{"expiry_date in words", func(e *event.Event) { e.ExpiryDate = []byte(`"soon"`) }, "expiry_date"},
		{"expiry_date", func(e *event.Event) { e.ExpiryDate = event.Expires(time.Now()) }, ""},
		{"registered_at", func(e *event.Event) { e.RegisteredAt = "now" }, "registered_at"},
		{"user_id for courier", func(e *event.Event) { e.UserID = "." }, "user_id"},
		{"too large", func(e *event.Event) { e.ID = strings.Repeat("x", event.MaxBytes) }, "event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := valid
			c.change(&e)
			err := e.Validate()
			switch {
			case err == nil && c.field != "":
				t.Errorf("valid; want a violation of %s", c.field)
			case err != nil && c.field == "":
				t.Errorf("%v; want it valid", err)
			case err != nil && blamed(t, err) != c.field:
				t.Errorf("%v; want a violation of %s", err, c.field)
			}
		})
	}
}

// An event that was built and never decoded is routed as its JSON would be.
func TestRouteBuiltEvent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		event              event.Event
		clevertap, courier string
	}{
		{"both", event.Event{Token: "t", Type: "fcm", ObjectID: "o", UserID: "u"}, deliver, deliver},
		{"empty is absent", event.Event{Token: "t", Type: "fcm", ObjectID: "o"}, deliver, skip},
		{"neither", event.Event{Token: "t", Type: "fcm"}, "destinations", "destinations"},
		{"unknown destination", event.Event{Token: "t", Destinations: []string{"x"}}, "destinations", "destinations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for provider, want := range map[string]string{event.CleverTap: c.clevertap, event.Courier: c.courier} {
				route, err := c.event.Route(provider)
				got := route.String()
				if err != nil {
					got = blamed(t, err)
				}
				if got != want {
					t.Errorf("%s: %s; want %s", provider, got, want)
				}
			}
		})
	}
}

// A field that came empty and was filled in later is written once.
func TestEncodeFilledBlank(t *testing.T) {
	t.Parallel()
	e, err := event.Decode([]byte(both(`"user_id":""`)))
	if err != nil {
		t.Fatal(err)
	}
	e.UserID = "u"
	if got, err := e.Encode(); err != nil || string(got) != `{"user_id":"u","object_id":"o","token":"tok-1","type":"fcm"}` {
		t.Errorf("%s, %v", got, err)
	}
}

// The tags serve encoding/json too, for apps that use it.
func TestStandardLibraryAgrees(t *testing.T) {
	t.Parallel()
	e, err := event.Decode([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	data, err := stdjson.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := event.Decode(data)
	if err != nil || !equal(e, again) {
		t.Errorf("%v, %+v\nwant %+v", err, again, e)
	}
}
