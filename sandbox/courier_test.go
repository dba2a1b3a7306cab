package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestCourierAccepts(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	const body = `{"provider_key":"firebase-fcm","device":{"app_id":"com.example.app","platform":"android"},"expiry_date":"2030-01-01T00:00:00.000Z","token":"T"}`
	r := w.put("user-1234", "T", body)
	want(t, "status", r.status, 204)
	want(t, "body", r.body, "")
	w.put("user-1234", "T", body)
	w.put("user-5678", "T", body)

	report := w.Report().Courier
	want(t, "accepted", report.Accepted, 3)
	want(t, "repeated", report.Repeated, 1)
	want(t, "204s", report.Statuses["204"], 3)
	accepted := w.Accepted(sandbox.Courier)
	want(t, "identity", accepted[0].Identity, "user-1234")
	want(t, "repeated", accepted[1].Repeated, true)
	sameJSON(t, "body", string(accepted[0].Body), body)
}

func TestCourierDecodesThePath(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"plain", "a/b", "a?b", "a#b", "a%b", "a%2Fb", "a b", "a+b", "ExponentPushToken[x]", "dYf:APA", "é", "a//b", "...", "a;b=c,d@e&f"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			want(t, "status", w.put(part, part, fmt.Sprintf(`{"provider_key":"expo","token":%q}`, part)).status, 204)
			accepted := w.Accepted(sandbox.Courier)
			want(t, "accepted", len(accepted), 1)
			want(t, "user id", accepted[0].Identity, part)
			want(t, "token", accepted[0].Token, part)
		})
	}
}

func TestCourierRefusesTheBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, message string }{
		"iOS example":             {`{"provider_key":"apn","properties":{"is_person":true},"device":{"app_id":"com.my.app","platform":"iOS","model":"iPhone 13"}}`, ""},
		"never expires":           {`{"provider_key":"apn","expiry_date":false}`, ""},
		"expires on a day":        {`{"provider_key":"onesignal","expiry_date":"2030-01-01"}`, ""},
		"nulls":                   {`{"provider_key":"apn","device":null,"tracking":{"ip":null},"expiry_date":null,"token":null}`, ""},
		"no provider_key":         {`{}`, "provider_key is required"},
		"null provider_key":       {`{"provider_key":null}`, "provider_key is required"},
		"unknown provider_key":    {`{"provider_key":"apns"}`, "provider_key must be one of firebase-fcm, apn, expo, onesignal"},
		"provider_key a number":   {`{"provider_key":1}`, "provider_key has the wrong type"},
		"other token":             {`{"provider_key":"apn","token":"other"}`, "token must match token in URL"},
		"expiry true":             {`{"provider_key":"apn","expiry_date":true}`, "expiry_date must be an ISO 8601 date or false"},
		"expiry no date":          {`{"provider_key":"apn","expiry_date":"soon"}`, "expiry_date must be an ISO 8601 date or false"},
		"expiry a number":         {`{"provider_key":"apn","expiry_date":1893456000}`, "expiry_date must be an ISO 8601 date or false"},
		"device a string":         {`{"provider_key":"apn","device":"x"}`, "device has the wrong type"},
		"lat a number":            {`{"provider_key":"apn","tracking":{"lat":1.2}}`, "tracking.lat has the wrong type"},
		"no JSON":                 {`{"provider_key":`, "Request body is not valid JSON"},
		"empty":                   {``, "Request body is not valid JSON"},
		"array":                   {`[]`, "Request body must be an object"},
		"a member twice":          {`{"provider_key":"apn","provider_key":"apn"}`, "Request body is not valid JSON"},
		"provider_key in capital": {`{"Provider_Key":"apn"}`, "provider_key is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			r := w.put("u", "t", c.body)
			report := w.Report().Courier
			if c.message == "" {
				want(t, "status", r.status, 204)
				want(t, "accepted", report.Accepted, 1)
				return
			}
			want(t, "status", r.status, 400)
			sameJSON(t, "answer", r.body, fmt.Sprintf(`{"message":%q,"type":"invalid_request_error"}`, c.message))
			want(t, "refused", report.Refused["400"], 1)
			want(t, "accepted", report.Accepted, 0)
			want(t, "token of the refused", w.Refused(sandbox.Courier)[0].Token, "t")
		})
	}
}

func TestCourierRefusesTheCall(t *testing.T) {
	t.Parallel()
	const path = "/users/u/tokens/t"
	with := func(name, value string) map[string]string {
		h := courierHeader()
		h[name] = value
		return h
	}
	const notFound = `{"message":"Not Found"}`
	for name, c := range map[string]struct {
		method, path, body string
		header             map[string]string
		status             int
		answer             string
	}{
		"no key":          {"PUT", path, android, with("Authorization", ""), 401, `{"message":"Unauthorized","type":"authentication_error"}`},
		"wrong key":       {"PUT", path, android, with("Authorization", "Bearer other"), 401, `{"message":"Unauthorized","type":"authentication_error"}`},
		"no bearer":       {"PUT", path, android, with("Authorization", sandbox.DefaultAPIKey), 401, `{"message":"Unauthorized","type":"authentication_error"}`},
		"form":            {"PUT", path, android, with("Content-Type", "application/x-www-form-urlencoded"), 400, `{"message":"Content-Type must be application/json","type":"invalid_request_error"}`},
		"post":            {"POST", path, android, courierHeader(), 404, notFound},
		"no token":        {"PUT", "/users/u/tokens/", android, courierHeader(), 404, notFound},
		"no user":         {"PUT", "/users//tokens/t", android, courierHeader(), 404, notFound},
		"dots":            {"PUT", "/users/u/tokens/%2E%2E", android, courierHeader(), 404, notFound},
		"unescaped slash": {"PUT", "/users/u/tokens/a/b", android, courierHeader(), 404, notFound},
		"more than 6 MiB": {"PUT", path, strings.Repeat(" ", 6<<20+1), courierHeader(), 413, `{"message":"Request body is too large","type":"invalid_request_error"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			r, err := w.do(t.Context(), c.method, w.CourierURL()+c.path, c.body, c.header)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "status", r.status, c.status)
			sameJSON(t, "answer", r.body, c.answer)
			want(t, "accepted", w.Report().Courier.Accepted, 0)
		})
	}
}
