package providerstest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

func testAccepted(t *testing.T, s Subject) {
	url, requests := serve(t, s.Accept)
	p := s.start(t, url)
	if p.MaxRecords() < 1 {
		t.Fatalf("MaxRecords is %d", p.MaxRecords())
	}
	for i, n := range []int{1, p.MaxRecords()} {
		a := p.Call(t.Context(), s.records(t, p, n))
		CheckAnswer(t, a, n)
		if a.Result != providers.OK || a.Status/100 != 2 {
			t.Errorf("%d records: %+v", n, a)
		}
		if got := requests.Load(); got != int64(i+1) {
			t.Errorf("%d requests after %d calls", got, i+1)
		}
	}
}

func testWrongNumber(t *testing.T, s Subject) {
	url, requests := serve(t, s.Accept)
	p := s.start(t, url)
	for _, n := range []int{0, p.MaxRecords() + 1} {
		a := p.Call(t.Context(), s.records(t, p, n))
		if a.Result != providers.Misconfigured {
			t.Errorf("%d records: %+v", n, a)
		}
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests", requests.Load())
	}
}

// testEveryStatus answers with each status and with bodies that a proxy, a
// captive portal or another service would send.
func testEveryStatus(t *testing.T, s Subject) {
	for _, body := range []struct{ name, text string }{
		{"empty", ""},
		{"page", "<!DOCTYPE html><html><head><TITLE>Sign in\nto WiFi</TITLE></head><body>hello</body></html>"},
		{"untitled page", "<html><title></html>"},
		{"text", "upstream connect error or disconnect/reset before headers"},
		{"other JSON", `{"Message":"Forbidden"}`},
		{"list", `[1,2,3]`},
		{"null", `null`},
		{"not UTF-8", "\xff\xfe\x00<\x80"},
	} {
		t.Run(body.name, func(t *testing.T) {
			t.Parallel()
			var status int
			url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				io.WriteString(w, seen(status, body.text))
			})
			p := s.start(t, url)
			for status = 200; status <= 599; status++ {
				before := requests.Load()
				a := s.call(t, p)
				code := codeOf(status)
				switch expected := s.Judge(status, seen(status, body.text)); expected {
				case providers.OK:
					want(t, a, expected, status, "")
				case providers.Ambiguous:
					want(t, a, expected, status, "ambiguous_response")
				default:
					want(t, a, expected, status, code)
				}
				if blames := a.Result == providers.Refused || a.Result == providers.Ambiguous; a.Foreign != blames {
					t.Errorf("status %d: whose answer it is: %+v", status, a)
				}
				if len(a.Refusals) > 0 {
					t.Errorf("status %d: a record was blamed: %+v", status, a)
				}
				if a.Reason != "" && !strings.Contains(a.Reason, strconv.Itoa(status)) {
					t.Errorf("status %d: reason %q", status, a.Reason)
				}
				if got := requests.Load() - before; got != 1 {
					t.Errorf("status %d: %d requests", status, got)
				}
			}
		})
	}
}

// seen is what of a body can be sent with a status.
func seen(status int, body string) string {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return ""
	}
	return body
}

func testRetryAfter(t *testing.T, s Subject) {
	const limit = time.Hour
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"absent", nil, 0},
		{"seconds", []string{"7"}, 7 * time.Second},
		{"spaces", []string{"  7 "}, 7 * time.Second},
		{"zero", []string{"0"}, 0},
		{"leading zeros", []string{"000000000000000000000000000007"}, 7 * time.Second},
		{"just the cap", []string{"3600"}, limit},
		{"over the cap", []string{"3601"}, limit},
		{"a week", []string{"604800"}, limit},
		{"over an int64 of nanoseconds", []string{"9223372037"}, limit},
		{"over an int64", []string{"99999999999999999999999999999999999"}, limit},
		{"negative", []string{"-5"}, 0},
		{"signed", []string{"+5"}, 0},
		{"a fraction", []string{"1.5"}, 0},
		{"exponent", []string{"1e9"}, 0},
		{"garbage", []string{"soon"}, 0},
		{"the first of two", []string{"5", "9"}, 5 * time.Second},
		{"date", []string{date(90 * time.Second)}, 90 * time.Second},
		{"date over the cap", []string{date(1000 * time.Hour)}, limit},
		{"date in the far future", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, limit},
		{"date gone by", []string{date(-time.Hour)}, 0},
		{"date of long ago", []string{"Mon, 01 Jan 0001 00:00:00 GMT"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for status, result := range map[int]providers.Result{429: providers.Throttled, 503: providers.Unavailable} {
				url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header()["Date"] = []string{date(0)}
					w.Header()["Retry-After"] = c.header
					w.WriteHeader(status)
				})
				a := s.call(t, s.start(t, url))
				want(t, a, result, status, codeOf(status))
				if a.RetryAfter != c.want {
					t.Errorf("status %d: RetryAfter is %v; want %v", status, a.RetryAfter, c.want)
				}
			}
		})
	}
}

func testRedirects(t *testing.T, s Subject) {
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			elsewhere, followed := serve(t, s.Accept)
			url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", elsewhere+r.URL.EscapedPath()+"?secret-path")
				w.WriteHeader(status)
			})
			a := s.call(t, s.start(t, url))
			want(t, a, providers.Misconfigured, status, codeOf(status))
			if !strings.Contains(a.Reason, elsewhere) || strings.Contains(a.Reason, "secret-path") {
				t.Errorf("reason %q; want the host %s and no path", a.Reason, elsewhere)
			}
			if requests.Load() != 1 || followed.Load() != 0 {
				t.Errorf("%d requests, %d followed", requests.Load(), followed.Load())
			}
		})
	}
}
