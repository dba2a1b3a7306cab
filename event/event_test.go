package event_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// verdict is what provider makes of a message, in the words of a testcase.
func verdict(t *testing.T, message, provider string) string {
	t.Helper()
	e, err := event.Decode([]byte(message))
	if err != nil {
		return blamed(t, err)
	}
	route, err := e.Route(provider)
	if err != nil {
		if route != event.Skip {
			t.Errorf("route %v with error %v; want skip", route, err)
		}
		return blamed(t, err)
	}
	return route.String()
}

// blamed is the field of a violation, whose text must be fit for a person.
func blamed(t *testing.T, err error) string {
	t.Helper()
	v, ok := errors.AsType[*event.Violation](err)
	if !ok {
		t.Fatalf("error %T %v; want a *Violation", err, err)
	}
	if text := v.Error(); v.Problem == "" || len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("violation %q; want one short line of plain ASCII", text)
	}
	return v.Field
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, group := range [][]testcase{fieldCases(), addressCases(), jsonCases()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				if got := verdict(t, c.message, event.CleverTap); got != c.clevertap {
					t.Errorf("clevertap: %s; want %s", got, c.clevertap)
				}
				if got := verdict(t, c.message, event.Courier); got != c.courier {
					t.Errorf("courier: %s; want %s", got, c.courier)
				}
			})
		}
	}
}

func TestViolationTexts(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"":                                   "event: empty; a JSON object is required",
		"[]":                                 "event: an array; an object is required",
		"{}x":                                "event: more after the object, from byte 2 on; one JSON object is required",
		"{":                                  "event: JSON that ends too early; one whole object is required",
		"{}":                                 "token: absent; it is required",
		strings.Repeat(" ", 65537):           "event: 65537 bytes; at most 65536 are allowed",
		strings.Repeat("[", 60000):           "event: nested too deeply; fewer than 10000 levels are allowed",
		`{"token":5}`:                        "token: a number; a string is required",
		`{"token":""}`:                       "token: empty; 1 to 4096 bytes are required",
		`{"token":"a b"}`:                    "token: white space in it; none is allowed",
		`{"token":"a","token":"b"}`:          "token: there twice; once is allowed",
		both(`"token":".."`):                 `token: a path segment of dots; anything but "." and ".." is allowed`,
		both(`"properties":[]`):              "properties: an array; an object is required",
		both(`"expiry_date":true`):           "expiry_date: a boolean; a string or false is required",
		both(`"destinations":["a"]`):         "destinations: entry 1 is an unknown word; clevertap and courier are allowed",
		both(str("token", point+point[:12])): "",
		both(str("token", strings.Repeat("x", 5000))): "token: 5000 bytes; 1 to 4096 are allowed",
	} {
		_, err := event.Decode([]byte(message))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: %q; want %q", message, got, want)
		}
	}
}

// A message on a provider's own subject is for that provider, whatever its
// destinations say.
func TestRouteOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, message, clevertap, courier string }{
		{"none named", both(), deliver, deliver},
		{"the other named", both(`"destinations":["courier"]`), deliver, deliver},
		{"no key follows", both(`"type":"wns"`), deliver, "provider_key"},
		{"no identity", `{"token":"t","type":"fcm"}`, "object_id", "user_id"},
		{"other identity", `{"token":"t","type":"fcm","object_id":"o","destinations":["clevertap"]}`, deliver, "user_id"},
		{"chrome without keys", both(`"type":"chrome","provider_key":"k"`), "keys", deliver},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Decode([]byte(c.message))
			if err != nil {
				t.Fatal(err)
			}
			for provider, want := range map[string]string{event.CleverTap: c.clevertap, event.Courier: c.courier} {
				route, err := e.RouteOnly(provider)
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

// A provider without a rule must not lose events silently.
func TestRouteUnknownProvider(t *testing.T) {
	t.Parallel()
	e, err := event.Decode([]byte(both()))
	if err != nil {
		t.Fatal(err)
	}
	if route, err := e.Route("segment"); err == nil {
		t.Errorf("route %v without error; want a violation", route)
	}
}

func TestCourierKey(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]string{
		`"type":"fcm"`:                        "firebase-fcm",
		`"type":"gcm"`:                        "firebase-fcm",
		`"type":"apns"`:                       "apn",
		`"type":"wns"`:                        "",
		`"type":"mpns"`:                       "",
		`"type":"chrome"`:                     "",
		`"type":null`:                         "",
		`"type":"apns","provider_key":"expo"`: "expo",
		`"type":"apns","provider_key":null`:   "apn",
		`"type":"apns","provider_key":""`:     "",
	} {
		e, err := event.Decode([]byte(`{"token":"t","object_id":"o",` + members + `}`))
		if err != nil {
			t.Fatal(members, err)
		}
		if got := e.CourierKey(); got != want {
			t.Errorf("%s: %q; want %q", members, got, want)
		}
	}
}

func TestRegistered(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 2, 3, 5e8, time.UTC)
	for text, want := range map[string]time.Time{
		"":                            {},
		"yesterday":                   {},
		"2026-11-22T01:02:03.5Z":      at,
		"2026-11-22t01:02:03.5z":      at,
		"2026-11-22T06:32:03.5+05:30": at,
	} {
		got, ok := (&event.Event{RegisteredAt: text}).Registered()
		if ok != !want.IsZero() || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, ok, want)
		}
	}
}

func TestDecodeFields(t *testing.T) {
	t.Parallel()
	data := []byte(full)
	got, err := event.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data { // nothing of it may be kept
		data[i] = 'x'
	}
	want := &event.Event{
		ID: "01JD4W3Z8Q7V5N2K9R6T1X0YBM", UserID: "user-1234567", ObjectID: "QBOpVJZmKilRAzfaiVS86Tovxm75lHxg",
		Token: "frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf", Type: "chrome",
		Keys: &event.Keys{P256dh: point, Auth: secret}, ProviderKey: "firebase-fcm",
		Device: &event.Device{AppID: "com.example.app", AdID: "1234567890", DeviceID: "1234567890",
			Platform: "android", Manufacturer: "Samsung", Model: "SM-G930F"},
		Tracking:     &event.Tracking{OSVersion: "9", IP: "192.0.2.4", Lat: "1.2", Long: "3.4"},
		Properties:   []byte(`{"is_person":true,"tags":["a","b"]}`),
		ExpiryDate:   []byte(`"2030-01-01T00:00:00.000Z"`),
		Destinations: []string{"clevertap", "courier"}, RegisteredAt: "2026-11-22T01:02:03.456+05:30",
	}
	if !equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestWordLists(t *testing.T) {
	t.Parallel()
	if got := event.Types(); !slices.Equal(got, []string{"fcm", "apns", "gcm", "wns", "mpns", "chrome"}) {
		t.Errorf("types %v", got)
	}
	if got := event.Providers(); !slices.Equal(got, []string{event.CleverTap, event.Courier}) {
		t.Errorf("providers %v", got)
	}
}
