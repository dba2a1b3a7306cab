package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// mark is in every value that nobody may see. A provider echoes whole values,
// in every escape there is; a part that remains of one shows by its mark.
const mark = "zq7x"

// private are the values of an event, with what makes escapes differ.
func private(i int) map[string]any {
	value := func(name string) string { return fmt.Sprintf("%s%d/%%?#&<\"é>+%s", mark, i, name) }
	return map[string]any{
		"user_id": value("user"), "object_id": value("object"), "token": value("token"), "type": "fcm",
		"device":     map[string]string{"ad_id": value("ad"), "device_id": value("device"), "model": "Pixel"},
		"tracking":   map[string]string{"ip": "203.0.113.7" + mark, "lat": "47.1" + mark, "long": "8.5" + mark},
		"properties": map[string]string{"name": value("name")},
	}
}

// echo is all that a request says, raw and in every escape.
func echo(in *http.Request, body []byte) string {
	var texts []string
	add := func(text string) {
		quoted, _ := json.Marshal(text) // a string always encodes
		hex := ""
		ascii := ""
		for _, c := range []byte(text) {
			hex += fmt.Sprintf("%%%02x", c)
		}
		for _, r := range text {
			ascii += fmt.Sprintf("\\u%04x", r)
		}
		texts = append(texts, text, string(quoted), url.PathEscape(text), url.QueryEscape(text), hex, ascii)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, member := range v {
				walk(member)
			}
		case string:
			add(v)
		}
	}
	var parsed any
	if json.Unmarshal(body, &parsed) == nil {
		walk(parsed)
	}
	for part := range strings.SplitSeq(in.URL.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(part); err == nil && strings.Contains(plain, mark) {
			add(plain)
		}
	}
	for _, name := range []string{"Authorization", "X-CleverTap-Passcode"} {
		for _, value := range in.Header.Values(name) {
			add(value)
			add(strings.TrimPrefix(value, "Bearer "))
		}
	}
	texts = append(texts, in.URL.String(), string(body))
	return strings.Join(texts, " ")
}

// Whatever a provider says about a request, nothing of an event and no
// credential gets into logs, metrics, reasons, holds or answers to operators.
func TestNothingPrivateIsShown(t *testing.T) {
	t.Parallel()
	write := func(out http.ResponseWriter, status int, body string) {
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
	}
	quote := func(text string) string {
		quoted, _ := json.Marshal(text)
		return string(quoted)
	}
	for _, c := range []struct {
		name   string
		answer func(out http.ResponseWriter, in *http.Request, body []byte, echo string)
	}{
		{"401", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			write(out, 401, `{"error":`+quote(echo)+`}`)
		}},
		{"500 in plain text", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) { write(out, 500, echo) }},
		{"503 as a page", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			write(out, 503, "<html><title>"+echo+"</title><body>"+echo+"</body></html>")
		}},
		{"429 with an odd Retry-After", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			out.Header().Set("Retry-After", strings.Map(printable, echo))
			write(out, 429, `{"message":`+quote(echo)+`,"type":`+quote(echo)+`}`)
		}},
		{"302", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			out.Header().Set("Location", "http://127.0.0.1:1/"+url.PathEscape(echo))
			write(out, 302, echo)
		}},
		{"400 with words", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			write(out, 400, `{"status":"fail","code":400,"error":`+quote(echo)+`,"message":`+quote(echo)+`,"type":`+quote("invalid_request_error "+echo)+`}`)
		}},
		{"records refused with words", func(out http.ResponseWriter, in *http.Request, body []byte, echo string) {
			var batch struct {
				D []json.RawMessage `json:"d"`
			}
			if json.Unmarshal(body, &batch) != nil || batch.D == nil {
				write(out, 422, `{"message":`+quote(echo)+`,"type":"invalid_request_error"}`)
				return
			}
			var refused []string
			for i, record := range batch.D {
				refused = append(refused, fmt.Sprintf(`{"status":"fail","code":%s,"error":%s,"record":%s}`,
					quote(echo), quote(fmt.Sprintf("%s Skipped record number : %d", echo, i+1)), record))
			}
			write(out, 200, `{"status":"fail","processed":0,"unprocessed":[`+strings.Join(refused, ",")+`]}`)
		}},
		{"200 that is no answer", func(out http.ResponseWriter, in *http.Request, _ []byte, echo string) {
			if strings.Contains(in.URL.Path, "/users/") {
				write(out, 409, `{"message":`+quote(echo)+`,"type":"conflict"}`)
				return
			}
			write(out, 200, `{"status":`+quote(echo)+`,"processed":`+quote(echo)+`,"unprocessed":[{"record":`+quote(echo)+`}]}`)
		}},
		{"a malformed header", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			conn, _, err := out.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+strings.Map(printable, echo)+"\r\n\r\n")
			_ = conn.Close()
		}},
		{"an answer to nobody", func(out http.ResponseWriter, _ *http.Request, _ []byte, echo string) {
			conn, _, err := out.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, strings.Map(printable, echo))
			_ = conn.Close()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			secrets := []string{mark + "-passcode", mark + "-key"}
			w := newWorld(t, "CLEVERTAP_PASSCODE="+secrets[0], "COURIER_API_KEY="+secrets[1], "CLEVERTAP_BATCH_SIZE=2")
			calls := make(chan string, 1000)
			fake := serve(t, http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
				body, err := io.ReadAll(in.Body)
				if err != nil {
					return
				}
				said := echo(in, body)
				c.answer(out, in, body, said)
				if !strings.Contains(said, mark) {
					return // a dry run of something made up
				}
				provider := event.CleverTap
				if strings.Contains(in.URL.Path, "/users/") {
					provider = event.Courier
				}
				calls <- provider
			}))
			w.set("CLEVERTAP_BASE_URL="+fake+sandbox.CleverTapPath, "COURIER_BASE_URL="+fake+sandbox.CourierPath)
			p := w.start()
			for i := range 3 {
				body, err := json.Marshal(private(i))
				if err != nil {
					t.Fatal(err)
				}
				w.put(string(body))
			}
			w.put(`{"user_id":"`+mark+`","token":"`+mark+` `+mark+`","type":"`+mark+`"}`, `{"token":"`+mark+`","destinations":["`+mark+`"]}`, mark)
			// Each provider is called, and either has nothing more to do or is held.
			eventually(t, "an end at both", func() bool {
				for _, provider := range event.Providers() {
					held := p.metrics().held(t, provider) != "" && w.hold(provider).Step > 0
					if !held && !w.isSettled(provider) {
						return false
					}
				}
				return true
			})
			if len(calls) < 2 {
				t.Fatalf("%d calls", len(calls))
			}
			check := func(where, text string) {
				t.Helper()
				if i := strings.Index(strings.ToLower(text), mark); i >= 0 {
					t.Errorf("%s: …%s…", where, text[max(0, i-200):min(len(text), i+100)])
				}
			}
			check("log", p.log.String())
			check("metrics", fetch(t, "http://"+p.worker.Addr()+"/metrics"))
			check("readiness", fetch(t, "http://"+p.worker.Addr()+"/readyz"))
			for _, l := range w.letters("") {
				for name, values := range l.header {
					check("letter's header "+name, strings.Join(values, " "))
				}
				check("letter's subject", l.code)
			}
			w.eachRecord(func(key string, value []byte) { check("record "+key, string(value)) })
			done := runWorker(t, w.environment(), "check")
			check("worker check", done.stdout+done.stderr)
			if len(p.log.with("msg")) == 0 {
				t.Error("an empty log")
			}
		})
	}
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '.'
	}
	return r
}

// eachRecord calls f for each record of the fleet's bucket.
func (w *world) eachRecord(f func(key string, value []byte)) {
	w.t.Helper()
	bucket, err := w.broker.JS.KeyValue(w.t.Context(), consumer.FleetBucket)
	if err != nil {
		w.t.Fatalf("bucket: %v", err)
	}
	keys, err := bucket.Keys(w.t.Context())
	if err != nil {
		w.t.Fatalf("bucket: %v", err)
	}
	for _, key := range keys {
		entry, err := bucket.Get(w.t.Context(), key)
		if errors.Is(err, jetstream.ErrKeyNotFound) { // gone meanwhile
			continue
		}
		if err != nil {
			w.t.Fatalf("bucket: %v", err)
		}
		f(key, entry.Value())
	}
}
