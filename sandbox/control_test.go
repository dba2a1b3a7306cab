package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func (w *world) control(method, path, body string) reply {
	w.t.Helper()
	r, err := w.do(w.t.Context(), method, w.URL()+path, body, nil)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func lines(t *testing.T, body string) []sandbox.Record {
	t.Helper()
	var records []sandbox.Record
	for line := range strings.Lines(body) {
		var r sandbox.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		records = append(records, r)
	}
	return records
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Name: "slow", Provider: sandbox.Courier, Effect: sandbox.Latency, Delay: time.Millisecond})
	w.upload(tokens(3)...)
	w.upload(token("o1", "t1"), token("", "t2"))
	w.put("u", "t", android)
	r := w.control("GET", "/sandbox/report", "")
	want(t, "status", r.status, 200)
	want(t, "content type", r.header.Get("Content-Type"), "application/json")
	var report map[string]any
	if err := json.Unmarshal([]byte(r.body), &report); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(report["since"])); err != nil {
		t.Errorf("since: %v", err)
	}
	part := func(name string) string {
		text, err := json.Marshal(report[name])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	sameJSON(t, "clevertap", part("clevertap"), `{"calls":2,"statuses":{"200":2},"open":0,"peak_open":1,"throttled":0,"records":5,"accepted":4,
		"repeated":1,"dry_run":0,"refused":{"530":1},"call_sizes":{"2":1,"3":1},"mean_size":2.5,"max_size":3,"forgotten":0}`)
	sameJSON(t, "courier", part("courier"), `{"calls":1,"statuses":{"204":1},"open":0,"peak_open":1,"throttled":0,"records":1,"accepted":1,
		"repeated":0,"dry_run":0,"refused":{},"call_sizes":{"1":1},"mean_size":1,"max_size":1,"forgotten":0}`)
	sameJSON(t, "rules", part("rules"), `[{"rule":{"name":"slow","provider":"courier","effect":"latency","delay":"1ms"},"active":true,"hits":1}]`)

	want(t, "credentials", w.control("PUT", "/sandbox/credentials", `{"courier_api_key":"another"}`).status, 204)
	for _, wrong := range []string{``, `{}`, `{"passcode":"p"}`, `{"courier_api_key":7}`} {
		want(t, "credentials "+wrong, w.control("PUT", "/sandbox/credentials", wrong).status, 400)
	}
	want(t, "reset", w.control("POST", "/sandbox/reset", "").status, 204)
	want(t, "accepted after the reset", w.Report().CleverTap.Accepted, 0)
	want(t, "remembered after the reset", len(w.Accepted(sandbox.CleverTap)), 0)
	want(t, "rules after the reset", len(w.Rules()), 1)
	w.upload(token("o1", "t1"))
	want(t, "repeated after the reset", w.Report().CleverTap.Repeated, 0)
}

func TestAcceptedAsJSONLines(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	for i := range 15 {
		records := make([]string, 100)
		for j := range records {
			records[j] = token(fmt.Sprintf("o%d", j), fmt.Sprintf("t%d", i))
		}
		w.upload(records...)
	}
	w.put("u & v", "t+1", android)
	w.put("u", "t", `{}`)

	all := lines(t, w.control("GET", "/sandbox/accepted?provider=clevertap", "").body)
	want(t, "all", len(all), 1500)
	for i, r := range all {
		if r.Seq != i+1 || r.Provider != "clevertap" || r.At.IsZero() {
			t.Fatalf("record %d: %+v", i+1, r)
		}
	}
	want(t, "call", all[1499].Call, 15)
	for query, n := range map[string]int{"&after=1490": 10, "&limit=7": 7, "&token=t3": 100, "&identity=o4": 15, "&token=t3&identity=o4": 1, "&token=no": 0, "&after=300&limit=2&token=t3": 2} {
		want(t, query, len(lines(t, w.control("GET", "/sandbox/accepted?provider=clevertap"+query, "").body)), n)
	}
	courier := lines(t, w.control("GET", "/sandbox/accepted?provider=courier&identity=u+%26+v&token=t%2B1", "").body)
	want(t, "Courier's", len(courier), 1)
	sameJSON(t, "body", string(courier[0].Body), android)
	refused := lines(t, w.control("GET", "/sandbox/refused?provider=courier", "").body)
	want(t, "refused", len(refused), 1)
	want(t, "code", refused[0].Code, "400")
	for path, text := range map[string]string{
		"/sandbox/accepted":                             "provider: want clevertap or courier",
		"/sandbox/calls?provider=x":                     "provider: want clevertap or courier",
		"/sandbox/accepted?provider=courier&after=x":    "after, limit: want a number, 0 or more",
		"/sandbox/accepted?provider=courier&limit=-1":   "after, limit: want a number, 0 or more",
		"/sandbox/accepted?provider=courier&wait=never": "wait: want a duration like 10s, at most 1m0s",
	} {
		r := w.control("GET", path, "")
		want(t, path, r.status, 400)
		want(t, path, strings.TrimSpace(r.body), text)
	}
}

func TestAcceptedWaits(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.put("u", "other", android)
	body := make(chan string)
	ask := func(query string) {
		r, err := w.do(t.Context(), "GET", w.URL()+"/sandbox/accepted?provider=courier&token=mine&wait="+query, "", nil)
		if err != nil {
			r.body = err.Error()
		}
		body <- r.body
	}
	go ask("20s")
	w.put("u", "mine", android)
	found := lines(t, <-body)
	want(t, "found", len(found), 1)
	want(t, "seq", found[0].Seq, 2)

	w.Reset()
	go ask("1ms")
	want(t, "when the time is over", <-body, "")
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want(t, "error", w.Wait(ctx, func(sandbox.Report) bool { return false }), context.Canceled)
	want(t, "error", w.Wait(ctx, func(sandbox.Report) bool { return true }), nil)
}

func TestRulesOverHTTP(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	want(t, "put", w.control("PUT", "/sandbox/rules", `[{"name":"a","effect":"status","status":503,"for":"1h"}]`).status, 204)
	want(t, "faulty", w.upload(tokens(1)...).status, 503)
	want(t, "post", w.control("POST", "/sandbox/rules", `[{"name":"b","effect":"hang","calls":1}]`).status, 204)
	sameJSON(t, "rules", w.control("GET", "/sandbox/rules", "").body, `[{"name":"a","effect":"status","status":503,"for":"1h0m0s"},{"name":"b","effect":"hang","calls":1}]`)

	wrong := w.control("PUT", "/sandbox/rules", `[{"effect":"status"},{"name":"x","effect":"melt"}]`)
	want(t, "wrong", wrong.status, 400)
	want(t, "its lines", wrong.body, "rule 1: status: 0; want an HTTP status, 200 to 599\n"+
		"rule 2 (x): effect: \"melt\"; want one of refuse, status, latency, hang, reset, truncate, html, redirect, miscount\n")
	want(t, "rules kept", len(w.Rules()), 2)

	want(t, "delete b", w.control("DELETE", "/sandbox/rules?name=b", "").status, 204)
	want(t, "delete b again", w.control("DELETE", "/sandbox/rules?name=b", "").status, 404)
	want(t, "delete", w.control("DELETE", "/sandbox/rules", "").status, 204)
	want(t, "sound", w.upload(tokens(1)...).status, 200)
}

func TestCallsAsJSON(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{KeepCalls: 2})
	for range 3 {
		w.upload(tokens(2)...)
	}
	r := w.control("GET", "/sandbox/calls?provider=clevertap", "")
	var calls []sandbox.Call
	if err := json.Unmarshal([]byte(r.body), &calls); err != nil {
		t.Fatal(err)
	}
	want(t, "calls", len(calls), 2)
	want(t, "first", calls[0].Seq, 2)
	want(t, "records", calls[1].Records, 2)
	want(t, "status", calls[1].Status, 200)
	if calls[1].End.Before(calls[1].Start) {
		t.Errorf("ended %v before it began %v", calls[1].End, calls[1].Start)
	}
}

func TestFirstPageTellsHow(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	for _, path := range []string{"/", "/sandbox/"} {
		if r := w.control("GET", path, ""); r.status != 200 || !strings.Contains(r.body, "/clevertap/1/upload") {
			t.Errorf("%s: got %d %s", path, r.status, r.body)
		}
	}
	want(t, "elsewhere", w.control("GET", "/elsewhere", "").status, 404)
}

func TestKeepForgetsTheOldest(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{Keep: 5})
	w.upload(tokens(12)...)
	accepted := w.Accepted(sandbox.CleverTap)
	want(t, "remembered", len(accepted), 5)
	for i, r := range accepted {
		want(t, "seq", r.Seq, 8+i)
		want(t, "token", r.Token, fmt.Sprintf("t%d", 8+i))
	}
	report := w.Report().CleverTap
	want(t, "accepted", report.Accepted, 12)
	want(t, "forgotten", report.Forgotten, 7)
}

func TestRecording(t *testing.T) {
	t.Parallel()
	for recording, c := range map[sandbox.Recording]struct{ remembered, repeated, forgotten int }{
		sandbox.RecordAll:          {4, 2, 0},
		sandbox.RecordFingerprints: {0, 2, 4},
		sandbox.RecordCounts:       {0, 0, 4},
	} {
		w := start(t, sandbox.Settings{Recording: recording})
		w.upload(tokens(2)...)
		w.upload(tokens(2)...)
		report := w.Report().CleverTap
		want(t, string(recording)+": remembered", len(w.Accepted(sandbox.CleverTap)), c.remembered)
		want(t, string(recording)+": accepted", report.Accepted, 4)
		want(t, string(recording)+": repeated", report.Repeated, c.repeated)
		want(t, string(recording)+": forgotten", report.Forgotten, c.forgotten)
	}
}

func TestSettingsTellAllMistakes(t *testing.T) {
	t.Parallel()
	_, err := sandbox.Start(sandbox.Settings{Addr: "0.0.0.0:0", Recording: "some", LeaveGrace: -1, Keep: -1, KeepCalls: -1, Rules: []sandbox.Rule{{Name: "x"}}})
	want(t, "error", fmt.Sprint(err), `Addr: "0.0.0.0:0" is not a loopback address; Exposed allows it
Recording: "some"; want all, fingerprints or counts
LeaveGrace: -1ns; want a duration above 0
Keep: -1; want a number above 0
KeepCalls: -1; want a number above 0
rule 1 (x): effect: missing; want one of refuse, status, latency, hang, reset, truncate, html, redirect, miscount`)
	for _, addr := range []string{":0", "here", "example.com:80", "192.0.2.1:0"} {
		if s, err := sandbox.Start(sandbox.Settings{Addr: addr}); err == nil {
			t.Errorf("%s: listens at %s", addr, s.URL())
			_ = s.Close()
		}
	}
	for _, settings := range []sandbox.Settings{{Addr: "localhost:0"}, {Addr: "0.0.0.0:0", Exposed: true}} {
		w := start(t, settings)
		want(t, settings.Addr, w.control("GET", "/sandbox/report", "").status, 200)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	if _, err := sandbox.Start(sandbox.Settings{Addr: strings.TrimPrefix(w.URL(), "http://")}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsOpenCalls(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{Rules: []sandbox.Rule{{Effect: sandbox.Hang}}})
	failed := make(chan error)
	go func() {
		_, err := w.tryUpload(tokens(1)...)
		failed <- err
	}()
	w.await("an open call", func(r sandbox.Report) bool { return r.CleverTap.Open == 1 })
	want(t, "Close", w.Close(), nil)
	if err := <-failed; err == nil {
		t.Error("the open call was answered")
	}
	want(t, "Close again", w.Close(), nil)
}

func TestHandlerWithHTTPTest(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Settings{AccountID: "A", Passcode: "P", APIKey: "K"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+sandbox.CourierPath+"/users/u/tokens/t", strings.NewReader(android))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer K")
	request.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	want(t, "status", response.StatusCode, 204)
	want(t, "accepted", len(s.Accepted(sandbox.Courier)), 1)
	want(t, "URL", s.URL(), "")
	want(t, "Close", s.Close(), nil)
}
