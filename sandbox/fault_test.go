package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestRefuseByCleverTap(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "531", Token: sandbox.Match{Is: "t7"}},
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "555", Text: "Try again.", Identity: sandbox.Match{Prefix: "o9"}},
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "odd", Token: sandbox.Match{Regexp: "^t(7|8)$"}},
		sandbox.Rule{Provider: sandbox.Courier, Effect: sandbox.Refuse, Code: "400"},
	)
	records := tokens(10)
	records[8] = token("o9", "999")
	r := w.upload(records...)
	want(t, "status", r.status, 200)
	sameJSON(t, "answer", r.body, `{"status":"partial","processed":7,"unprocessed":[
		{"status":"fail","code":531,"error":"Token data is incorrect. Invalid token data. Skipped record number : 7","record":`+token("o7", "t7")+`},
		{"status":"fail","code":"odd","error":"Token data is incorrect. Skipped record number : 8","record":`+token("o8", "t8")+`},
		{"status":"fail","code":555,"error":"Try again. Skipped record number : 9","record":{"type":"token","tokenData":{"id":999,"type":"fcm"},"objectId":"o9"}}]}`)
	report := w.Report()
	for code, n := range map[string]int{"531": 1, "555": 1, "odd": 1} {
		want(t, "refused "+code, report.CleverTap.Refused[code], n)
	}
	want(t, "hits of the first rule", report.Rules[0].Hits, 1)
	want(t, "hits of Courier's rule", report.Rules[3].Hits, 0)
}

func TestRefuseByCourier(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Provider: sandbox.Courier, Effect: sandbox.Refuse, Code: "409", Text: "in conflict", Token: sandbox.Match{Contains: "bad"}})
	r := w.put("u", "a-bad-one", android)
	want(t, "status", r.status, 409)
	sameJSON(t, "answer", r.body, `{"message":"in conflict","type":"invalid_request_error"}`)
	want(t, "another token", w.put("u", "good", android).status, 204)
	want(t, "refused", w.Report().Courier.Refused["409"], 1)
}

func TestShareIsAFunctionOfTheToken(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	rule := sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "531", Share: 0.25, Salt: "s"}
	w.rules(rule)
	w.upload(tokens(100)...)
	first := w.Refused(sandbox.CleverTap)
	if len(first) < 10 || len(first) > 45 {
		t.Fatalf("a quarter of 100 refused %d", len(first))
	}
	for _, record := range first {
		if !rule.Concerns(sandbox.CleverTap, record.Identity, record.Token) || sandbox.Fraction("s", record.Token) >= 0.25 {
			t.Errorf("%s was refused, and the rule does not say so", record.Token)
		}
	}
	for _, record := range w.Accepted(sandbox.CleverTap) {
		if rule.Concerns(sandbox.CleverTap, record.Identity, record.Token) {
			t.Errorf("%s was accepted against the rule", record.Token)
		}
	}
	w.upload(tokens(100)...)
	want(t, "refused by two calls", w.Report().CleverTap.Refused["531"], 2*len(first))
}

// The formula is in the documentation, for observers in other languages.
func TestFraction(t *testing.T) {
	t.Parallel()
	// printf '%s' saltt1 | sha256sum | cut -c1-16 divided by 2^64
	want(t, "fraction", fmt.Sprintf("%.12f", sandbox.Fraction("salt", "t1")), "0.455649036046")
}

func TestWholeCallFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule              sandbox.Rule
		status            int
		cleverTap, client string // bodies; CleverTap's and Courier's
		header            map[string]string
	}{
		"unauthorized": {
			rule: sandbox.Rule{Effect: sandbox.Status, Status: 401}, status: 401,
			cleverTap: `{"status":"fail","error":"Unauthorized","code":401}`, client: `{"message":"Unauthorized","type":"authentication_error"}`,
		},
		"throttled": {
			rule: sandbox.Rule{Effect: sandbox.Status, Status: 429, RetryAfter: 1500 * time.Millisecond}, status: 429,
			cleverTap: `{"status":"fail","error":"Too Many Requests","code":429}`, client: `{"message":"Too Many Requests","type":"rate_limit_error"}`,
			header: map[string]string{"Retry-After": "2"},
		},
		"unavailable": {
			rule: sandbox.Rule{Effect: sandbox.Status, Status: 503, RetryAfter: 0}, status: 503,
			cleverTap: `{"status":"fail","error":"Service Unavailable","code":503}`, client: `{"message":"Service Unavailable","type":"api_error"}`,
			header: map[string]string{"Retry-After": ""},
		},
		"own words": {
			rule:   sandbox.Rule{Effect: sandbox.Status, Status: 403, Body: `{"a":1}`, Header: map[string]string{"X-A": "b", "Content-Type": "text/x"}},
			status: 403, cleverTap: `{"a":1}`, client: `{"a":1}`, header: map[string]string{"X-A": "b", "Content-Type": "text/x"},
		},
		"poisoned by a token": {
			rule: sandbox.Rule{Effect: sandbox.Status, Status: 400, Token: sandbox.Match{Is: "t3"}}, status: 400,
			cleverTap: `{"status":"fail","error":"Bad Request","code":400}`, client: `{"message":"Bad Request","type":"invalid_request_error"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			w.rules(c.rule)
			for provider, got := range map[string]reply{c.cleverTap: w.upload(tokens(5)...), c.client: w.put("u", "t3", android)} {
				want(t, "status", got.status, c.status)
				sameJSON(t, "answer", got.body, provider)
				for name, value := range c.header {
					want(t, name, got.header.Get(name), value)
				}
			}
			report := w.Report()
			want(t, "hits", report.Rules[0].Hits, 2)
			want(t, "stored", report.CleverTap.Accepted+report.Courier.Accepted, 0)
			want(t, "records", report.CleverTap.Records, 5)
			w.ClearRules()
			want(t, "afterwards", w.upload(tokens(5)...).status, 200)
		})
	}
}

func TestPoisonNeedsItsToken(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Effect: sandbox.Status, Status: 400, Token: sandbox.Match{Is: "t3"}})
	want(t, "without the token", w.upload(tokens(2)...).status, 200)
	want(t, "with it", w.upload(tokens(3)...).status, 400)
}

func TestRetryAfterAsADate(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Effect: sandbox.Status, Status: 429, RetryAfter: time.Hour, RetryAfterDate: true})
	value := w.upload(tokens(1)...).header.Get("Retry-After")
	date, err := http.ParseTime(value)
	if err != nil {
		t.Fatalf("Retry-After %q: %v", value, err)
	}
	if until := time.Until(date); until > time.Hour || until < 30*time.Minute {
		t.Errorf("Retry-After is %v ahead, want an hour", until)
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		effect sandbox.Effect
		fails  func(error) bool
	}{
		"reset":    {sandbox.Reset, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		"truncate": {sandbox.Truncate, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stored %v", name, stored), func(t *testing.T) {
				t.Parallel()
				w := start(t, sandbox.Settings{})
				w.rules(sandbox.Rule{Effect: c.effect, Stored: stored})
				if r, err := w.tryUpload(tokens(50)...); !c.fails(err) {
					t.Errorf("CleverTap: got %d, %v", r.status, err)
				}
				if r, err := w.tryPut("u", "t", android); !c.fails(err) {
					t.Errorf("Courier: got %d, %v", r.status, err)
				}
				report := w.Report()
				want(t, "CleverTap's calls without an answer", report.CleverTap.Statuses["none"], 1)
				want(t, "Courier's calls without an answer", report.Courier.Statuses["none"], 1)
				accepted := 0
				if stored {
					accepted = 51
				}
				want(t, "accepted", report.CleverTap.Accepted+report.Courier.Accepted, accepted)
			})
		}
	}
}

func TestCaptivePortal(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Effect: sandbox.HTML})
	for _, r := range []reply{w.upload(tokens(1)...), w.put("u", "t", android)} {
		want(t, "status", r.status, 200)
		if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.HasPrefix(r.body, "<!DOCTYPE html>") {
			t.Errorf("got %s: %s", r.header.Get("Content-Type"), r.body)
		}
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Effect: sandbox.Redirect})
	r := w.upload(tokens(1)...)
	want(t, "status", r.status, 302)
	want(t, "location", r.header.Get("Location"), "/sandbox/elsewhere")
}

func TestMiscount(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Miscount})
	sameJSON(t, "answer", w.upload(tokens(5)...).body, `{"status":"success","processed":4,"unprocessed":[]}`)
}

func TestEveryAndCalls(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Effect: sandbox.Status, Status: 503, Every: 3, Calls: 2})
	var statuses []int
	for range 10 {
		statuses = append(statuses, w.upload(tokens(1)...).status)
	}
	want(t, "statuses", fmt.Sprint(statuses), "[200 200 503 200 200 503 200 200 200 200]")
	want(t, "active", w.Report().Rules[0].Active, false)
}

func TestFirstWholeCallRuleDecides(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	w.rules(sandbox.Rule{Name: "once", Effect: sandbox.Status, Status: 500, Calls: 1}, sandbox.Rule{Effect: sandbox.Status, Status: 502, Calls: 1})
	want(t, "first", w.upload(tokens(1)...).status, 500)
	want(t, "second", w.upload(tokens(1)...).status, 502)
	want(t, "third", w.upload(tokens(1)...).status, 200)
	want(t, "named in the call", w.Calls(sandbox.CleverTap)[0].Rule, "once")
	want(t, "by its effect", w.Calls(sandbox.CleverTap)[1].Rule, "status")
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, sandbox.Settings{Rules: []sandbox.Rule{
			{Effect: sandbox.Status, Status: 503, After: 10 * time.Second, For: 5 * time.Second},
			{Effect: sandbox.Status, Status: 401, After: 20 * time.Second},
		}})
		for _, step := range []struct {
			wait   time.Duration
			status int
		}{{9 * time.Second, 200}, {time.Second, 503}, {4 * time.Second, 503}, {time.Second, 200}, {5 * time.Second, 401}, {time.Hour, 401}} {
			time.Sleep(step.wait)
			want(t, "status", <-b.call(t.Context(), sandbox.CleverTap), step.status)
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, sandbox.Settings{Rules: []sandbox.Rule{
			{Effect: sandbox.Latency, Delay: 50 * time.Millisecond},
			{Effect: sandbox.Latency, Delay: 100 * time.Millisecond, DelayMax: 200 * time.Millisecond},
		}})
		for range 50 {
			before := time.Now()
			want(t, "status", <-b.call(t.Context(), sandbox.Courier), 204)
			if took := time.Since(before); took < 150*time.Millisecond || took > 250*time.Millisecond {
				t.Errorf("took %v, want 150 to 250 ms", took)
			}
		}
		// Who leaves before the answer has been stored all the same.
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer leave()
		want(t, "left", <-b.call(ctx, sandbox.Courier), 0)
		want(t, "accepted", b.Report().Courier.Accepted, 51)
	})
}

func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		took := func(b bubble, ctx context.Context, status int) time.Duration {
			before := time.Now()
			want(t, "status", <-b.call(ctx, sandbox.CleverTap), status)
			return time.Since(before)
		}
		rule := func(r sandbox.Rule) bubble {
			r.Effect = sandbox.Hang
			return inBubble(t, sandbox.Settings{Rules: []sandbox.Rule{r}})
		}
		want(t, "for its delay", took(rule(sandbox.Rule{Delay: time.Minute}), t.Context(), 200), time.Minute)
		want(t, "until the rule ends", took(rule(sandbox.Rule{For: time.Hour}), t.Context(), 200), time.Hour)
		want(t, "whichever comes first", took(rule(sandbox.Rule{Delay: time.Minute, For: 7 * time.Second}), t.Context(), 200), 7*time.Second)

		b := rule(sandbox.Rule{Name: "h"})
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		want(t, "until the client leaves", took(b, ctx, 0), time.Second)
		want(t, "stored", b.Report().CleverTap.Accepted, 0)

		call := b.call(t.Context(), sandbox.CleverTap)
		synctest.Wait()
		want(t, "removed", b.RemoveRule("h"), 1)
		want(t, "let go", <-call, 200)
	})
}
