package clevertap_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
)

func TestNewNamesTheField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field  string
		change func(*clevertap.Settings)
	}{
		{"AccountID", func(s *clevertap.Settings) { s.AccountID = "" }},
		{"AccountID", func(s *clevertap.Settings) { s.AccountID = "secret\nX-Evil: 1" }},
		{"Passcode", func(s *clevertap.Settings) { s.Passcode = "" }},
		{"Passcode", func(s *clevertap.Settings) { s.Passcode = "secret " }},
		{"Passcode", func(s *clevertap.Settings) { s.Passcode = "secret\xc3\xa9" }},
		{"Region", func(s *clevertap.Settings) { s.Region = "mars" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "api.clevertap.com" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "ftp://api.clevertap.com" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://:443" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://me:secret@host" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://host/?key=secret" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://host/#secret" }},
		{"BaseURL", func(s *clevertap.Settings) { s.BaseURL = "https://host/%zz" }},
		{"Timeout", func(s *clevertap.Settings) { s.Timeout = -1 }},
		{"Timeout", func(s *clevertap.Settings) { s.Timeout = 1000 * time.Hour }},
		{"MaxRetryAfter", func(s *clevertap.Settings) { s.MaxRetryAfter = -1 }},
		{"MaxRecords", func(s *clevertap.Settings) { s.MaxRecords = 101 }},
		{"MaxRecords", func(s *clevertap.Settings) { s.MaxRecords = -1 }},
	} {
		s := clevertap.Settings{AccountID: "a", Passcode: "p"}
		c.change(&s)
		_, err := clevertap.New(s)
		if err == nil || !strings.HasPrefix(err.Error(), "clevertap: "+c.field+": ") {
			t.Errorf("want an error about %s, got %v", c.field, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("unfit to be shown: %q", err)
		}
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"":     "api.clevertap.com",
		"eu":   "api.clevertap.com",
		"eu1":  "eu1.api.clevertap.com",
		"in1":  "in1.api.clevertap.com",
		"sg1":  "sg1.api.clevertap.com",
		"us1":  "us1.api.clevertap.com",
		"aps3": "aps3.api.clevertap.com",
		"mec1": "mec1.api.clevertap.com",
	}
	if got := len(clevertap.Regions()); got != len(want)-1 {
		t.Errorf("%d regions", got)
	}
	for region, host := range want {
		var url string
		c := start(t, clevertap.Settings{Region: region, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			url = r.URL.String()
			return answering(503, "")(r)
		})})
		c.Call(t.Context(), prepare(t, c, sent()[0]))
		if url != "https://"+host+"/1/upload" {
			t.Errorf("region %q: %s", region, url)
		}
		if base, err := clevertap.BaseURL(region); err != nil || base != "https://"+host {
			t.Errorf("region %q: %s, %v", region, base, err)
		}
	}
}

func TestNameAndMaxRecords(t *testing.T) {
	t.Parallel()
	c := start(t, clevertap.Settings{})
	if c.Name() != event.CleverTap || c.MaxRecords() != 100 {
		t.Errorf("%s, %d", c.Name(), c.MaxRecords())
	}
	if c := start(t, clevertap.Settings{MaxRecords: 7}); c.MaxRecords() != 7 {
		t.Errorf("%d", c.MaxRecords())
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	var seen []string
	c := start(t, clevertap.Settings{BaseURL: "http://host/gate/", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.URL.String())
		return answering(200, answer("success", 1))(r)
	})})
	records := prepare(t, c, sent()[0])
	for _, a := range []providers.Answer{c.DryRun(t.Context(), records), c.Call(t.Context(), records)} {
		if a.Result != providers.OK {
			t.Errorf("got %+v", a)
		}
	}
	want := "http://host/gate/1/upload?dryRun=1 http://host/gate/1/upload"
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   func(sent string) string
		want   string // part of the error, empty for none
	}{
		"taken":         {200, func(string) string { return answer("success", 1) }, ""},
		"named refusal": {200, func(sent string) string { return answer("fail", 0, `{"code":530,"error":"x","record":`+sent+`}`) }, ""},
		"wrong passcode": {401, func(string) string { return `{"status":"fail","error":"Passcode Invalid","code":401}` },
			"unauthorized: CleverTap: HTTP 401: Passcode Invalid; check CLEVERTAP_ACCOUNT_ID, CLEVERTAP_PASSCODE and CLEVERTAP_REGION"},
		"portal":   {200, func(string) string { return "<html>" }, "check CLEVERTAP_BASE_URL"},
		"not here": {404, func(string) string { return "" }, "refused: CleverTap: HTTP 404: Not Found; check CLEVERTAP_BASE_URL"},
		"down":     {503, func(string) string { return "" }, "unavailable: CleverTap: HTTP 503: Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t, clevertap.Settings{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.RawQuery != "dryRun=1" {
					t.Errorf("a check that is no dry run: %s", r.URL)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				sent := strings.TrimSuffix(strings.TrimPrefix(string(body), `{"d":[`), `]}`)
				r.Body = http.NoBody
				return answering(c.status, c.body(sent))(r)
			})})
			err := client.Check(context.Background())
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
