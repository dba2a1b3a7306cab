package replay

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

func TestSet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, set, want string
		changed         bool
	}{
		"a field":                {`{"token":"t","type":"fcm"}`, "type=apns", `{"token":"t","type":"apns"}`, true},
		"a field that is absent": {`{"token":"t"}`, "type=apns", `{"token":"t","type":"apns"}`, true},
		"the same":               {`{ "type" : "fcm" }`, "type=fcm", `{ "type" : "fcm" }`, false},
		"taken away":             {`{"token":"t","type":"fcm"}`, "type=", `{"token":"t"}`, true},
		"absent, taken away":     {`{"token":"t"}`, "type=", `{"token":"t"}`, false},
		"of another type before": {`{"token":7,"x":1.0}`, "token=7", `{"token":"7","x":1.0}`, true},
		"twice before":           {`{"type":"fcm","token":"t","type":"gcm"}`, "type=apns", `{"type":"apns","token":"t"}`, true},
		"twice, the first right": {`{"type":"fcm","token":"t","type":"apns"}`, "type=fcm", `{"type":"fcm","token":"t"}`, true},
		"text after its end":     {`{"type":"fcm"} x`, "type=fcm", `{"type":"fcm"}`, true},
		"a large number":         {`{"properties":{"n":9007199254740992}}`, `properties={"n":9007199254740993}`, `{"properties":{"n":9007199254740993}}`, true},
		"a number as it was":     {`{"properties":{ "n": 9007199254740993 }}`, `properties={"n":9007199254740993}`, `{"properties":{ "n": 9007199254740993 }}`, false},
		"nested, the same":       {`{"device":{ "platform":"ios"}}`, "device.platform=ios", `{"device":{ "platform":"ios"}}`, false},
		"nested, twice":          {`{"device":{"platform":"ios","platform":"web"}}`, "device.platform=ios", `{"device":{"platform":"ios"}}`, true},
		"nested, an empty one":   {`{"device":{}}`, "device.platform=", `{"device":{}}`, false},
		"nested":                 {`{"device":{"app_id":"a"},"token":"t"}`, "device.platform=ios", `{"device":{"app_id":"a","platform":"ios"},"token":"t"}`, true},
		"nested, nothing there":  {`{"token":"t"}`, "device.platform=ios", `{"token":"t","device":{"platform":"ios"}}`, true},
		"nested, a wrong one":    {`{"device":"x"}`, "device.platform=ios", `{"device":{"platform":"ios"}}`, true},
		"nested, the last away":  {`{"token":"t","device":{"platform":"ios"}}`, "device.platform=", `{"token":"t"}`, true},
		"false":                  {`{}`, "expiry_date=false", `{"expiry_date":false}`, true},
		"a date":                 {`{}`, "expiry_date=2030-01-31", `{"expiry_date":"2030-01-31"}`, true},
		"names":                  {`{}`, "destinations=clevertap,courier", `{"destinations":["clevertap","courier"]}`, true},
		"an object":              {`{}`, `properties={"a":[1,2]}`, `{"properties":{"a":[1,2]}}`, true},
		"with an equals sign":    {`{}`, "token=a=b", `{"token":"a=b"}`, true},
		"to be quoted":           {`{}`, `user_id=a"b`, `{"user_id":"a\"b"}`, true},
	} {
		set, err := ParseSet(c.set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, fields, err := ChangeBy([]Set{set})(&dlq.Stored{Body: []byte(c.body)})
		if err != nil || string(body) != c.want || len(fields) > 0 != c.changed {
			t.Errorf("%s: %s, changed %q, %v", name, body, fields, err)
		}
	}
}

func TestSetOfWhatIsNoObject(t *testing.T) {
	t.Parallel()
	set, err := ParseSet("type=fcm")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "null", `["secret"]`, `{"token":"secret"`, "secret"} {
		_, _, err := ChangeBy([]Set{set})(&dlq.Stored{Body: []byte(body)})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestParseSetRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"type", "", "=x", "tokn=secret", "device=secret", "device.secret=1", `properties=secret`, `properties=["secret"]`, "token=\xff"} {
		if _, err := ParseSet(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is not set stays as it was, for any event and any field.
func TestSetTouchesNothingElse(t *testing.T) {
	t.Parallel()
	const body = `{"id":"i","user_id":"u","object_id":"o","token":"t","type":"fcm","device":{"app_id":"a","platform":"p"},"tracking":{"ip":"x"},"properties":{"n":1.50},"registered_at":"2026-01-31T12:00:00Z","unknown":[1]}`
	rapid.Check(t, func(r *rapid.T) {
		field := rapid.SampledFrom(Fields()).Draw(r, "field")
		value := rapid.StringMatching(`v[a-z]{1,5}`).Draw(r, "value")
		if field == "properties" {
			value = `{"v":"` + value + `"}`
		}
		set, err := ParseSet(field + "=" + value)
		if err != nil {
			r.Fatal(err)
		}
		after, changed, err := ChangeBy([]Set{set})(&dlq.Stored{Body: []byte(body)})
		if err != nil {
			r.Fatal(err)
		}
		top, _, _ := strings.Cut(field, ".")
		if found := Differences([]byte(body), after); !slices.Equal(found, []string{top}) || !slices.Equal(changed, []string{field}) {
			r.Fatalf("set %s: differs in %q, says %q: %s", field, found, changed, after)
		}
		if back, _, err := ChangeBy([]Set{set})(&dlq.Stored{Body: after}); err != nil || string(back) != string(after) {
			r.Fatalf("set again: %s, %v", back, err)
		}
	})
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string
		want          []string
	}{
		{`{"type":"fcm"}`, `{"type":"fcm"}`, nil},
		{`{"type":"fcm","token":"t"}`, "{\n \"token\": \"t\", \"type\": \"fcm\"}", nil},
		{`{"type":"fcm"}`, `{"type":"apns","keys":{}}`, []string{"type", "keys"}},
		{`{"properties":{"account":9007199254740992}}`, `{"properties":{"account":9007199254740993}}`, []string{"properties"}},
		{`{"properties":{"ratio":0.10000000000000001}}`, `{"properties":{"ratio":0.1}}`, []string{"properties"}},
		{`{"type":"fcm","type":"apns"}`, `{"type":"fcm"}`, []string{"event"}},
		{`{"type":"fcm"} x`, `{"type":"fcm"}`, []string{"event"}},
		{`{"x":1}`, `{"x":2}`, []string{"event"}},
		{`nothing`, `{"x":2}`, []string{"event"}},
	} {
		if got := Differences([]byte(c.before), []byte(c.after)); !slices.Equal(got, c.want) {
			t.Errorf("%s to %s: %q", c.before, c.after, got)
		}
	}
}

func TestFieldsAreTheEvents(t *testing.T) {
	t.Parallel()
	for _, field := range Fields() {
		body := []byte(`{"token":"t","type":"fcm","object_id":"o","user_id":"u"}`)
		text := field + "=x"
		switch field {
		case "properties":
			text = `properties={}`
		case "type":
			text = "type=apns"
		case "destinations":
			text = "destinations=courier"
		case "registered_at":
			text = "registered_at=2026-01-31T12:00:00Z"
		}
		set, err := ParseSet(text)
		if err != nil {
			t.Fatal(err)
		}
		after, _, err := ChangeBy([]Set{set})(&dlq.Stored{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		ev, err := event.Decode(after)
		if err != nil {
			t.Fatalf("%s: %v", after, err)
		}
		before, _ := event.Decode(body)
		x, _ := ev.Encode()
		y, _ := before.Encode()
		if string(x) == string(y) {
			t.Errorf("%s is no field that an event knows", field)
		}
	}
}
