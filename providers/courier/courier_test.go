package courier_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/courier"
	"github.com/tokenrelay/tokenrelay/providers/providerstest"
)

// roundTripper is a transport without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		return &http.Response{StatusCode: status, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// recording keeps what was sent, and accepts it.
func recording(url *string, header *http.Header, body *[]byte) roundTripper {
	return func(r *http.Request) (resp *http.Response, err error) {
		*url, *header = r.Method+" "+r.URL.String(), r.Header
		if *body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = http.NoBody
		return answering(http.StatusNoContent, "")(r)
	}
}

// TestExamples: both requests in Courier's document.
func TestExamples(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event     *event.Event
		bodyToken bool
		url       string
	}{
		"android.json": {
			&event.Event{
				UserID: "user-1234", Token: "ABW7HO9Y7XAQXZ7Y", Type: "fcm",
				Device: &event.Device{
					AppID: "com.example.app", AdID: "1234567890", DeviceID: "1234567890",
					Platform: "android", Manufacturer: "Samsung", Model: "SM-G930F",
				},
				Tracking:   &event.Tracking{OSVersion: "9", IP: "1.2.3.4", Lat: "1.2", Long: "3.4"},
				ExpiryDate: []byte(`"2030-01-01T00:00:00.000Z"`),
			},
			true, "PUT https://api.courier.com/users/user-1234/tokens/ABW7HO9Y7XAQXZ7Y",
		},
		"ios.json": {
			&event.Event{
				UserID: "user-1234", Token: "ads23fghsdfgsd32", ProviderKey: "apn",
				Properties: []byte(`{"is_person":true}`),
				Device:     &event.Device{AppID: "com.my.app", Platform: "iOS", Model: "iPhone 13"},
			},
			false, "PUT https://api.courier.com/users/user-1234/tokens/ads23fghsdfgsd32",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var url string
			var header http.Header
			var body []byte
			client := start(t, courier.Settings{BodyToken: c.bodyToken, Transport: recording(&url, &header, &body)})
			if a := client.Call(t.Context(), prepare(t, client, c.event)); a.Result != providers.OK {
				t.Fatalf("got %+v", a)
			}
			if url != c.url {
				t.Errorf("got %s, want %s", url, c.url)
			}
			wantHeader := http.Header{
				"Authorization": {"Bearer " + apiKey},
				"Accept":        {"application/json"},
				"Content-Type":  {"application/json"},
				"User-Agent":    {"tokenrelay"},
			}
			if !reflect.DeepEqual(header, wantHeader) {
				t.Errorf("got %v", header)
			}
			golden, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, body, golden)
		})
	}
}

// sameJSON compares in meaning, and then in the order of members too.
func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, compact.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", got, &compact)
	}
}

func prepare(t testing.TB, c *courier.Client, e *event.Event) []providers.Record {
	t.Helper()
	r, err := c.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	return []providers.Record{r}
}

func TestBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event event.Event
		want  string
	}{
		"least":             {event.Event{}, `{"provider_key":"apn","token":"t"}`},
		"empty device":      {event.Event{Device: &event.Device{}, Tracking: &event.Tracking{}}, `{"provider_key":"apn","token":"t"}`},
		"last field":        {event.Event{Device: &event.Device{Model: "m"}}, `{"provider_key":"apn","device":{"model":"m"},"token":"t"}`},
		"only tracking":     {event.Event{Tracking: &event.Tracking{Long: "1"}}, `{"provider_key":"apn","tracking":{"long":"1"},"token":"t"}`},
		"key given":         {event.Event{ProviderKey: "expo"}, `{"provider_key":"expo","token":"t"}`},
		"never expires":     {event.Event{ExpiryDate: []byte(`false`)}, `{"provider_key":"apn","expiry_date":false,"token":"t"}`},
		"nulls and empties": {event.Event{ExpiryDate: []byte(`null`), Properties: []byte(`{}`)}, `{"provider_key":"apn","token":"t"}`},
		"properties as they came": {event.Event{Properties: []byte(`{"n":12345678901234567890.10,"s":"\u00e9"}`)},
			`{"provider_key":"apn","properties":{"n":12345678901234567890.10,"s":"\u00e9"},"token":"t"}`},
		"escapes": {event.Event{Device: &event.Device{Model: "a\"b\\c"}}, `{"provider_key":"apn","device":{"model":"a\"b\\c"},"token":"t"}`},
	} {
		c.event.Token, c.event.UserID, c.event.Type = "t", "u", "apns"
		client := start(t, courier.Settings{BodyToken: true})
		if got := string(prepare(t, client, &c.event)[0].Body); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ user, token, want string }{
		{"u", "a:b_c-d.e~f", "/users/u/tokens/a:b_c-d.e~f"},
		{"a/b", "c/d", "/users/a%2Fb/tokens/c%2Fd"},
		{"a?b#c%d", "x y", "/users/a%3Fb%23c%25d/tokens/x%20y"},
		{"é", "ExponentPushToken[x]", "/users/%C3%A9/tokens/ExponentPushToken%5Bx%5D"},
		{"a%2Fb", "..x", "/users/a%252Fb/tokens/..x"},
		{"...", "a;b,c", "/users/.../tokens/a%3Bb%2Cc"},
	} {
		var url string
		var header http.Header
		var body []byte
		client := start(t, courier.Settings{BaseURL: "http://host/gate/", Transport: recording(&url, &header, &body)})
		client.Call(t.Context(), prepare(t, client, &event.Event{UserID: c.user, Token: c.token, Type: "fcm"}))
		if url != "PUT http://host/gate"+c.want {
			t.Errorf("got %s, want %s", url, c.want)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, courier.Settings{BodyToken: true})
	for _, w := range []struct {
		field string
		event event.Event
	}{
		{"user_id", event.Event{Token: "t", Type: "fcm"}},
		{"user_id", event.Event{UserID: ".", Token: "t", Type: "fcm"}},
		{"user_id", event.Event{UserID: "..", Token: "t", Type: "fcm"}},
		{"token", event.Event{UserID: "u", Type: "fcm"}},
		{"token", event.Event{UserID: "u", Token: "..", Type: "fcm"}},
		{"token", event.Event{UserID: "u", Token: "\xff", Type: "fcm"}},
		{"provider_key", event.Event{UserID: "u", Token: "t", Type: "chrome"}},
		{"device.model", event.Event{UserID: "u", Token: "t", Type: "fcm", Device: &event.Device{Model: "\xff"}}},
	} {
		_, err := c.Prepare(&w.event)
		v, ok := errors.AsType[*event.Violation](err)
		if !ok || v.Field != w.field {
			t.Errorf("want a violation of %s, got %v", w.field, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const couriers = `{"message":"Bad token tok-A.","type":"invalid_request_error"}`
	const said = "invalid_request_error: Bad token [redacted]."
	named := func(status, again int) providers.Answer {
		code := fmt.Sprintf("http_%d", status)
		reason := fmt.Sprintf("Courier: HTTP %d: %s", status, said)
		return providers.Answer{
			Result: providers.Refused, Status: status, Code: code, Reason: reason,
			Refusals: []providers.Refusal{{Code: code, Reason: reason, Again: again}},
		}
	}
	unnamed := func(status int, reason string) providers.Answer {
		return providers.Answer{
			Result: providers.Refused, Status: status, Code: fmt.Sprintf("http_%d", status), Reason: reason,
			Hint: elsewhere, Foreign: true,
		}
	}
	strange := func(status int, reason string) providers.Answer {
		return providers.Answer{Result: providers.Misconfigured, Status: status, Code: "unavailable", Reason: reason, Hint: elsewhere}
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   providers.Answer
	}{
		"no content":   {204, "", providers.Answer{Result: providers.OK, Status: 204}},
		"ok":           {200, couriers, providers.Answer{Result: providers.OK, Status: 200}},
		"accepted":     {202, " {} ", providers.Answer{Result: providers.OK, Status: 202}},
		"a word":       {200, `"ok"`, providers.Answer{Result: providers.OK, Status: 200}},
		"blank":        {200, "\r\n", providers.Answer{Result: providers.OK, Status: 200}},
		"a portal":     {202, "<html><title>Airport WiFi</title>", strange(202, `Courier: HTTP 202: not Courier's answer: an HTML page titled "Airport WiFi"`)},
		"a bare text":  {200, "Welcome, tok-A", strange(200, "Courier: HTTP 200: not Courier's answer: Welcome, [redacted]")},
		"half a JSON":  {200, `{"a":`, strange(200, "Courier: HTTP 200: not Courier's answer")},
		"bad request":  {400, couriers, named(400, 0)},
		"not found":    {404, couriers, named(404, 0)},
		"not allowed":  {405, couriers, named(405, 0)},
		"conflict":     {409, couriers, named(409, 2)},
		"gone":         {410, couriers, named(410, 0)},
		"too large":    {413, couriers, named(413, 0)},
		"unprocessed":  {422, couriers, named(422, 0)},
		"other":        {451, couriers, named(451, 0)},
		"gateway":      {404, `{"message":"Not Found"}`, unnamed(404, "Courier: HTTP 404: Not Found")},
		"empty type":   {400, `{"message":"x","type":""}`, unnamed(400, "Courier: HTTP 400: x")},
		"no message":   {400, `{"message":null,"type":"x"}`, unnamed(400, "Courier: HTTP 400: x")},
		"other types":  {400, `{"message":{},"type":7}`, unnamed(400, "Courier: HTTP 400: Bad Request")},
		"page":         {409, "<html><title>Proxy</title>", unnamed(409, `Courier: HTTP 409: an HTML page titled "Proxy"`)},
		"wrong key":    {401, couriers, providers.Answer{Result: providers.Unauthorized, Status: 401, Code: "http_401", Reason: "Courier: HTTP 401: " + said, Hint: access}},
		"forbidden":    {403, "", providers.Answer{Result: providers.Unauthorized, Status: 403, Code: "http_403", Reason: "Courier: HTTP 403: Forbidden", Hint: access}},
		"too many":     {429, couriers, providers.Answer{Result: providers.Throttled, Status: 429, Code: "http_429", Reason: "Courier: HTTP 429: " + said, Hint: crowded}},
		"too slow":     {408, couriers, providers.Answer{Result: providers.Unavailable, Status: 408, Code: "http_408", Reason: "Courier: HTTP 408: " + said, Hint: theirs}},
		"server error": {500, couriers, providers.Answer{Result: providers.Unavailable, Status: 500, Code: "http_500", Reason: "Courier: HTTP 500: " + said, Hint: theirs}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t, courier.Settings{Transport: answering(c.status, c.body)})
			a := client.Call(t.Context(), prepare(t, client, &event.Event{UserID: "user-1", Token: "tok-A", Type: "fcm"}))
			providerstest.CheckAnswer(t, a, 1)
			if !reflect.DeepEqual(a, c.want) {
				t.Errorf("got  %+v\nwant %+v", a, c.want)
			}
		})
	}
}

func TestNewNamesTheField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field  string
		change func(*courier.Settings)
	}{
		{"APIKey", func(s *courier.Settings) { s.APIKey = "" }},
		{"APIKey", func(s *courier.Settings) { s.APIKey = "secret\r\n" }},
		{"Region", func(s *courier.Settings) { s.Region = "in1" }},
		{"BaseURL", func(s *courier.Settings) { s.BaseURL = "https://me:secret@host" }},
		{"Timeout", func(s *courier.Settings) { s.Timeout = -1 }},
		{"MaxRetryAfter", func(s *courier.Settings) { s.MaxRetryAfter = 25 * time.Hour }},
		{"MaxConcurrent", func(s *courier.Settings) { s.MaxConcurrent = -1 }},
	} {
		s := courier.Settings{APIKey: "k"}
		c.change(&s)
		_, err := courier.New(s)
		if err == nil || !strings.HasPrefix(err.Error(), "courier: "+c.field+": ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("want an error about %s, got %v", c.field, err)
		}
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"": "https://api.courier.com", "us": "https://api.courier.com", "eu": "https://api.eu.courier.com"} {
		if base, err := courier.BaseURL(region); err != nil || base != want {
			t.Errorf("region %q: %s, %v", region, base, err)
		}
	}
	for _, region := range courier.Regions() {
		if _, err := courier.BaseURL(region); err != nil {
			t.Error(err)
		}
	}
	if c := start(t, courier.Settings{}); c.Name() != event.Courier || c.MaxRecords() != 1 {
		t.Errorf("%s, %d", c.Name(), c.MaxRecords())
	}
}
