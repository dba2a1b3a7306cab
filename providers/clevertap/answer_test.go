package clevertap_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
	"github.com/tokenrelay/tokenrelay/providers/providerstest"
)

// roundTripper is a transport without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering always answers with status and body.
func answering(status int, body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		return &http.Response{StatusCode: status, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// sent are three records, the first and the last of which carry the same
// token for the same user.
func sent() []*event.Event {
	return []*event.Event{
		{Token: "tok-A", Type: "fcm", ObjectID: "obj-1"},
		{Token: "12345678901234567890123", Type: "gcm", ObjectID: "42"},
		{Token: "tok-A", Type: "fcm", ObjectID: "obj-1"},
		{Token: "tok-A", Type: "gcm", ObjectID: "obj-1"},
		{Token: "tok-D", Type: "apns", ObjectID: "Obj-4"},
	}
}

// fail is one unprocessed record of an answer.
func fail(code, message, token, object string) string {
	return fmt.Sprintf(`{"status":"fail","code":%s,"error":"%s","record":{"type":"token","tokenData":{"id":%s},"objectId":%s}}`, code, message, token, object)
}

// failType is a fail of tok-A with the token's type in the echo.
func failType(kind string) string {
	return fmt.Sprintf(`{"code":534,"record":{"tokenData":{"id":"tok-A","type":"%s"},"objectId":"obj-1"}}`, kind)
}

// answer is what CleverTap says about the five sent records.
func answer(status string, processed int, unprocessed ...string) string {
	return fmt.Sprintf(`{"status":"%s","processed":%d,"unprocessed":[%s]}`, status, processed, strings.Join(unprocessed, ","))
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const skip = "Invalid.Skipped record number : "
	for name, c := range map[string]struct {
		body string
		want string // ok, ambiguous, or the refused records' index:code
	}{
		"success":                  {answer("success", 5), "ok"},
		"success, odd spacing":     {"\n { \"status\" : \"success\" , \"processed\" : 5 , \"unprocessed\" : [ ]} \r\n", "ok"},
		"success, null list":       {`{"status":"success","processed":5,"unprocessed":null}`, "ok"},
		"success, no list":         {`{"status":"success","processed":5}`, "ok"},
		"success, count as string": {`{"status":"success","processed":"5","unprocessed":[]}`, "ok"},
		"success, more fields":     {`{"status":"success","processed":5,"unprocessed":[],"requestId":{"a":[1]}}`, "ok"},

		"echo":                          {answer("partial", 4, fail("531", "bad", `"tok-D"`, `"Obj-4"`)), "4:531"},
		"echo out of order":             {answer("partial", 3, fail("531", "bad", `"tok-D"`, `"Obj-4"`), fail("530", "bad", `"12345678901234567890123"`, `"42"`)), "1:530 4:531"},
		"strings became numbers":        {answer("partial", 4, fail("530", "bad", `12345678901234567890123`, `42`)), "1:530"},
		"code as string":                {answer("partial", 4, fail(`"533"`, "bad", `"tok-D"`, `"Obj-4"`)), "4:533"},
		"echo against the number":       {answer("partial", 4, fail("531", skip+"2", `"tok-D"`, `"Obj-4"`)), "4:531"},
		"number alone":                  {`{"status":"partial","processed":4,"unprocessed":[{"code":531,"error":"` + skip + `5"}]}`, "4:531"},
		"number, record no object":      {`{"status":"partial","processed":4,"unprocessed":[{"code":531,"error":"` + skip + `5","record":"x"}]}`, "4:531"},
		"number, mutated object id":     {answer("partial", 4, fail("531", skip+"5", `"tok-D"`, `"obj-4"`)), "4:531"},
		"number, mutated token":         {answer("partial", 4, fail("531", skip+"2", `1.2345678901234568e22`, `42`)), "1:531"},
		"number, odd spelling":          {`{"status":"partial","processed":4,"unprocessed":[{"code":531,"error":"SKIPPED RECORD NUMBER:5."}]}`, "4:531"},
		"the last number counts":        {`{"status":"partial","processed":4,"unprocessed":[{"code":531,"error":"Skipped record number : 1, Skipped record number : 5"}]}`, "4:531"},
		"all of them, fail":             {answer("fail", 0, fail("531", "", `"tok-A"`, `"obj-1"`), fail("531", "", `"tok-A"`, `"obj-1"`), fail("531", "", `"tok-A"`, `"obj-1"`), fail("530", "", `"12345678901234567890123"`, `42`), fail("530", "", `"tok-D"`, `"Obj-4"`)), "0:531 1:530 2:531 3:531 4:530"},
		"fail with some processed":      {answer("fail", 4, fail("531", "bad", `"tok-D"`, `"Obj-4"`)), "4:531"},
		"try again":                     {answer("partial", 4, fail("555", "bad", `"tok-D"`, `"Obj-4"`)), "4:555+2"},
		"code of the profile API":       {answer("partial", 4, fail("515", "bad", `"tok-D"`, `"Obj-4"`)), "4:515"},
		"code as a word":                {answer("partial", 4, fail(`"bad_token"`, "bad", `"tok-D"`, `"Obj-4"`)), "4:bad_token"},
		"code no subject allows":        {answer("partial", 4, fail(`"E.*>"`, "bad", `"tok-D"`, `"Obj-4"`)), "4:other"},
		"code in capitals":              {answer("partial", 4, fail(`"EBAD"`, "bad", `"tok-D"`, `"Obj-4"`)), "4:other"},
		"code as a fraction":            {answer("partial", 4, fail(`531.5`, "bad", `"tok-D"`, `"Obj-4"`)), "4:other"},
		"code too long":                 {answer("partial", 4, fail(`"`+strings.Repeat("a", 33)+`"`, "bad", `"tok-D"`, `"Obj-4"`)), "4:other"},
		"code null":                     {answer("partial", 4, fail(`null`, "bad", `"tok-D"`, `"Obj-4"`)), "4:other"},
		"code missing":                  {`{"status":"partial","processed":4,"unprocessed":[{"record":{"tokenData":{"id":"tok-D"},"objectId":"Obj-4"}}]}`, "4:other"},
		"code is a token":               {answer("partial", 4, fail(`"12345678901234567890123"`, "bad", `"12345678901234567890123"`, `42`)), "1:other"},
		"error no string":               {`{"status":"partial","processed":4,"unprocessed":[{"code":531,"error":{"a":1},"record":{"tokenData":{"id":"tok-D"},"objectId":"Obj-4"}}]}`, "4:531"},
		"not UTF-8 in the error":        {answer("partial", 4, fail("531", "b\xffd", `"tok-D"`, `"Obj-4"`)), "4:531"},
		"equal records, one echo":       {answer("partial", 4, fail("531", "bad", `"tok-A"`, `"obj-1"`)), "0:531"},
		"equal records, two echoes":     {answer("partial", 3, fail("531", "bad", `"tok-A"`, `"obj-1"`), fail("532", "bad", `"tok-A"`, `"obj-1"`)), "0:531 2:532"},
		"equal records, number":         {answer("partial", 4, fail("531", skip+"3", `"tok-A"`, `"obj-1"`)), "2:531"},
		"equal records, late number":    {answer("partial", 3, fail("531", "bad", `"tok-A"`, `"obj-1"`), fail("532", skip+"1", `"tok-A"`, `"obj-1"`)), "0:532 2:531"},
		"equal records, both numbers":   {answer("partial", 3, fail("531", skip+"3", `"tok-A"`, `"obj-1"`), fail("532", skip+"1", `"tok-A"`, `"obj-1"`)), "0:532 2:531"},
		"equal records, foreign number": {answer("partial", 4, fail("531", skip+"5", `"tok-A"`, `"obj-1"`)), "0:531"},
		"one type of two":               {answer("partial", 4, failType("gcm")), "3:534"},
		"type against the number":       {answer("partial", 4, strings.Replace(failType("gcm"), "{", `{"error":"`+skip+`1",`, 1)), "3:534"},
		"type, late number":             {answer("partial", 3, strings.Replace(failType("fcm"), "534", "535", 1), strings.Replace(failType("fcm"), "{", `{"error":"`+skip+`1",`, 1)), "0:534 2:535"},
		"both types":                    {answer("partial", 3, failType("gcm"), failType("fcm")), "0:534 3:534"},

		"empty":                       {"", "ambiguous"},
		"HTML":                        {"<html><title>Welcome to Airport WiFi</title></html>", "ambiguous"},
		"text":                        {"OK", "ambiguous"},
		"null":                        {"null", "ambiguous"},
		"list":                        {"[]", "ambiguous"},
		"empty object":                {"{}", "ambiguous"},
		"twice":                       {answer("success", 5) + answer("success", 5), "ambiguous"},
		"trailing garbage":            {answer("success", 5) + "x", "ambiguous"},
		"cut off":                     {`{"status":"success","processed":5,"unproc`, "ambiguous"},
		"status twice":                {`{"status":"success","status":"fail","processed":5}`, "ambiguous"},
		"status missing":              {`{"processed":5,"unprocessed":[]}`, "ambiguous"},
		"status unknown":              {answer("queued", 5), "ambiguous"},
		"status in capitals":          {answer("SUCCESS", 5), "ambiguous"},
		"status no string":            {`{"status":true,"processed":5,"unprocessed":[]}`, "ambiguous"},
		"no count":                    {`{"status":"success","unprocessed":[]}`, "ambiguous"},
		"count null":                  {`{"status":"success","processed":null,"unprocessed":[]}`, "ambiguous"},
		"count a fraction":            {`{"status":"success","processed":5.0,"unprocessed":[]}`, "ambiguous"},
		"count an exponent":           {`{"status":"success","processed":5e0,"unprocessed":[]}`, "ambiguous"},
		"count negative":              {answer("success", -5), "ambiguous"},
		"count huge":                  {`{"status":"success","processed":18446744073709551621,"unprocessed":[]}`, "ambiguous"},
		"too few":                     {answer("success", 4), "ambiguous"},
		"too many":                    {answer("success", 6), "ambiguous"},
		"partial does not add up":     {answer("partial", 3, fail("531", "bad", `"tok-D"`, `"Obj-4"`)), "ambiguous"},
		"negative adds up":            {answer("partial", -1, "{}", "{}", "{}", "{}", "{}", "{}"), "ambiguous"},
		"success with unprocessed":    {answer("success", 4, fail("531", "bad", `"tok-D"`, `"Obj-4"`)), "ambiguous"},
		"partial with none":           {answer("partial", 5), "ambiguous"},
		"fail with none":              {answer("fail", 5), "ambiguous"},
		"fail with none, none taken":  {answer("fail", 0), "ambiguous"},
		"credentials in a 200":        {`{"status":"fail","error":"Account ID is not valid","code":401}`, "ambiguous"},
		"list no list":                {`{"status":"fail","processed":4,"unprocessed":{"a":1}}`, "ambiguous"},
		"entry null":                  {answer("partial", 4, "null"), "ambiguous"},
		"entry empty":                 {answer("partial", 4, "{}"), "ambiguous"},
		"entry no object":             {answer("partial", 4, "7"), "ambiguous"},
		"nobody's echo":               {answer("partial", 4, fail("531", "bad", `"tok-X"`, `"obj-X"`)), "ambiguous"},
		"only the token matches":      {answer("partial", 4, fail("531", "bad", `"tok-D"`, `"other"`)), "ambiguous"},
		"one echo twice":              {answer("partial", 3, fail("531", "bad", `"tok-D"`, `"Obj-4"`), fail("531", "bad", `"tok-D"`, `"Obj-4"`)), "ambiguous"},
		"echo and number, one record": {answer("partial", 3, fail("531", "bad", `"tok-D"`, `"Obj-4"`), `{"code":530,"error":"`+skip+`5"}`), "ambiguous"},
		"four echoes of three":        {answer("partial", 1, fail("1", "", `"tok-A"`, `"obj-1"`), fail("1", "", `"tok-A"`, `"obj-1"`), fail("1", "", `"tok-A"`, `"obj-1"`), fail("1", "", `"tok-A"`, `"obj-1"`)), "ambiguous"},
		"number zero":                 {answer("partial", 4, fail("531", skip+"0", `"x"`, `"y"`)), "ambiguous"},
		"number too high":             {answer("partial", 4, fail("531", skip+"6", `"x"`, `"y"`)), "ambiguous"},
		"number huge":                 {answer("partial", 4, fail("531", skip+"18446744073709551617", `"x"`, `"y"`)), "ambiguous"},
		"number negative":             {answer("partial", 4, fail("531", skip+"-1", `"x"`, `"y"`)), "ambiguous"},
		"number missing":              {answer("partial", 4, fail("531", skip, `"x"`, `"y"`)), "ambiguous"},
		"number against the token":    {answer("partial", 4, fail("531", skip+"1", `"tok-D"`, `"y"`)), "ambiguous"},
		"number against the object":   {answer("partial", 4, fail("531", skip+"1", `"x"`, `"Obj-4"`)), "ambiguous"},
		"number twice":                {answer("partial", 3, `{"code":530,"error":"`+skip+`5"}`, `{"code":530,"error":"`+skip+`5"}`), "ambiguous"},
		"float of another token":      {answer("partial", 4, fail("531", "bad", `1.2345678901234568e22`, `42`)), "ambiguous"},
		"echo is null":                {answer("partial", 4, fail("531", "bad", `null`, `null`)), "ambiguous"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t, clevertap.Settings{Transport: answering(200, c.body)})
			a := client.Call(t.Context(), prepare(t, client, sent()...))
			providerstest.CheckAnswer(t, a, len(sent()))
			if got := summary(a); got != c.want {
				t.Errorf("got %q, want %q; %+v", got, c.want, a)
			}
		})
	}
}

func summary(a providers.Answer) string {
	if a.Result != providers.Partial {
		return string(a.Result)
	}
	var all []string
	for _, r := range a.Refusals {
		one := fmt.Sprintf("%d:%s", r.Index, r.Code)
		if r.Again > 0 {
			one += fmt.Sprintf("+%d", r.Again)
		}
		all = append(all, one)
	}
	return strings.Join(all, " ")
}

// TestReasons: what a person reads.
func TestReasons(t *testing.T) {
	t.Parallel()
	const tokenData = `"record":{"tokenData":{"id":"tok-A"},"objectId":"obj-1"}`
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{400, `{"status":"fail","error":"Malformed request","code":400}`, "CleverTap: HTTP 400: Malformed request"},
		{401, `{"status":"fail","error":"Account ID is not valid","code":401}`, "CleverTap: HTTP 401: Account ID is not valid"},
		{429, `{"status":"fail","error":"Too many concurrent requests","code":429}`, "CleverTap: HTTP 429: Too many concurrent requests"},
		{503, "", "CleverTap: HTTP 503: Service Unavailable"},
		{502, "<html><head><title>502 Bad Gateway</title>", `CleverTap: HTTP 502: an HTML page titled "502 Bad Gateway"`},
		{200, "<html><title>Airport WiFi</title>", `CleverTap: HTTP 200: not the JSON of an upload's answer: an HTML page titled "Airport WiFi"`},
		{200, answer("success", 7), "CleverTap: HTTP 200: the answer does not add up: 1 sent, 7 processed, 0 unprocessed"},
		{200, `{"status":"fail","processed":0,"unprocessed":[{"code":531,"error":"Token tok-A is bad",` + tokenData + `}]}`, "CleverTap: 531: Token [redacted] is bad"},
		{200, `{"status":"fail","processed":0,"unprocessed":[{"code":"E/1","error":"Oops",` + tokenData + `}]}`, "CleverTap: other: E/1 Oops"},
		{200, `{"status":"fail","processed":0,"unprocessed":[{"code":535,` + tokenData + `}]}`, "CleverTap: 535"},
	} {
		client := start(t, clevertap.Settings{Transport: answering(c.status, c.body)})
		a := client.Call(t.Context(), prepare(t, client, sent()[0]))
		got := a.Reason
		if len(a.Refusals) > 0 {
			got = a.Refusals[0].Reason
		}
		if got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

// FuzzAnswer: whatever the body, every record is accepted, refused once or
// part of an answer that says nothing about any.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		answer("success", 5),
		answer("partial", 4, fail("531", "Skipped record number : 5", `"tok-D"`, `"Obj-4"`)),
		answer("fail", 2, fail("531", "", `"tok-A"`, `"obj-1"`), failType("gcm"), `{"code":"x","error":"Skipped record number : 2"}`),
		"<html>", `{"status":"fail","processed":-1,"unprocessed":[null,7]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := start(t, clevertap.Settings{Transport: answering(200, body)})
		a := c.Call(context.Background(), prepare(t, c, sent()...))
		providerstest.CheckAnswer(t, a, len(sent())) // indexes rise, so that none comes twice
		switch a.Result {
		case providers.OK, providers.Partial, providers.Ambiguous:
		case providers.Unavailable:
			if len(body) <= 1<<20 {
				t.Errorf("a body of %d bytes: %+v", len(body), a)
			}
		default:
			t.Errorf("got %+v", a)
		}
	})
}
