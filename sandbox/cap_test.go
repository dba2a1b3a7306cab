package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestCapOverHTTP(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{Rules: []sandbox.Rule{{Effect: sandbox.Hang}}})
	type outcome struct {
		reply
		error
	}
	outcomes := make(chan outcome)
	for range 3 {
		go func() {
			r, err := w.tryUpload(tokens(1)...)
			outcomes <- outcome{r, err}
		}()
	}
	w.await("three open calls", func(r sandbox.Report) bool { return r.CleverTap.Open == 3 })
	fourth := w.upload(tokens(1)...)
	want(t, "fourth", fourth.status, 429)
	sameJSON(t, "fourth", fourth.body, `{"status":"fail","error":"Too many concurrent requests","code":429}`)
	want(t, "Retry-After", fourth.header.Get("Retry-After"), "")

	w.ClearRules()
	for range 3 {
		o := <-outcomes
		if o.error != nil {
			t.Errorf("a call that hung: %v", o.error)
		}
		want(t, "a call that hung", o.status, 200)
	}
	want(t, "after them", w.upload(tokens(1)...).status, 200)
	report := w.Report().CleverTap
	want(t, "peak", report.PeakOpen, 4)
	want(t, "throttled", report.Throttled, 1)
	want(t, "accepted", report.Accepted, 4)
	want(t, "calls", report.Calls, 5)
	want(t, "429s", report.Statuses["429"], 1)
	last := w.Calls(sandbox.CleverTap)
	want(t, "calls remembered", len(last), 5)
	want(t, "first to end", last[0].Status, 429)
	want(t, "open at its arrival", last[0].Open, 4)
}

// A client that has read an answer may call again at once: no answer may be
// readable before its call is counted out.
func TestCapIsNotExceededByCallsInTurn(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	done := make(chan error)
	for range 3 {
		go func() {
			for range 300 {
				if _, err := w.tryUpload(token("o", "t")); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	report := w.Report().CleverTap
	want(t, "throttled", report.Throttled, 0)
	want(t, "accepted", report.Accepted, 900)
	if report.PeakOpen > 3 {
		t.Errorf("peak: got %d, want at most 3", report.PeakOpen)
	}
}

// Calls, rules, looks and resets at once: for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{CleverTapCap: -1, Keep: 50})
	const rounds = 40
	var all sync.WaitGroup
	for _, use := range []func(){
		func() { _, _ = w.tryUpload(tokens(20)...) },
		func() { _, _ = w.tryUpload(tokens(20)...) },
		func() { _, _ = w.tryPut("u", "t", android) },
		func() {
			_ = w.SetRules(sandbox.Rule{Effect: sandbox.Hang}, sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "531", Share: 0.5})
			w.ClearRules()
		},
		func() { w.Report(); w.Rules(); w.Calls(sandbox.Courier) },
		func() { w.Accepted(sandbox.CleverTap); w.Refused(sandbox.CleverTap) },
		w.Reset,
	} {
		all.Go(func() {
			for range rounds {
				use()
			}
		})
	}
	all.Wait()
	w.Reset()
	want(t, "status", w.upload(tokens(20)...).status, 200)
	report := w.Report().CleverTap
	want(t, "accepted", report.Accepted, 20)
	want(t, "open", report.Open, 0)
}

// bubble drives a handler without sockets, in fake time.
type bubble struct {
	*sandbox.Server
	handler http.Handler
}

func inBubble(t *testing.T, settings sandbox.Settings) bubble {
	t.Helper()
	s, err := sandbox.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return bubble{s, s.Handler()}
}

// call sends one record; the channel gives the status, 0 when there was no answer.
func (b bubble) call(ctx context.Context, provider string) <-chan int {
	status := make(chan int, 1)
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, sandbox.CleverTapPath+"/1/upload", strings.NewReader(batch(tokens(1)...)))
	header := cleverTapHeader()
	if provider == sandbox.Courier {
		request = httptest.NewRequestWithContext(ctx, http.MethodPut, sandbox.CourierPath+"/users/u/tokens/t1", strings.NewReader(android))
		header = courierHeader()
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	go func() {
		recorder := httptest.NewRecorder()
		defer func() {
			if recover() != nil {
				status <- 0
				return
			}
			status <- recorder.Code
		}()
		b.handler.ServeHTTP(recorder, request)
	}()
	return status
}

func TestCapForgivesACallThatWasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, sandbox.Settings{LeaveGrace: time.Second, Rules: []sandbox.Rule{{Effect: sandbox.Hang}}})
		ctx, leave := context.WithCancel(t.Context())
		left := b.call(ctx, sandbox.CleverTap)
		others := []<-chan int{b.call(t.Context(), sandbox.CleverTap), b.call(t.Context(), sandbox.CleverTap)}
		synctest.Wait()
		next := b.call(t.Context(), sandbox.CleverTap)
		time.Sleep(time.Second - 1) // the next call is there before the news that the first was left
		leave()
		want(t, "the call that was left", <-left, 0)
		synctest.Wait()
		want(t, "open", b.Report().CleverTap.Open, 3)
		b.ClearRules()
		for _, c := range append(others, next) {
			want(t, "status", <-c, 200)
		}
		report := b.Report().CleverTap
		want(t, "peak", report.PeakOpen, 3)
		want(t, "throttled", report.Throttled, 0)
		want(t, "without an answer", report.Statuses["none"], 1)
		want(t, "accepted", report.Accepted, 3)
	})
}

func TestCapDoesNotForgiveACallThatIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, sandbox.Settings{CleverTapCap: 1, Rules: []sandbox.Rule{{Effect: sandbox.Latency, Delay: time.Millisecond}}})
		first := b.call(t.Context(), sandbox.CleverTap)
		synctest.Wait()
		second := b.call(t.Context(), sandbox.CleverTap)
		want(t, "first", <-first, 200)
		want(t, "second", <-second, 429)
		want(t, "peak", b.Report().CleverTap.PeakOpen, 2)
	})
}

func TestCapCanBeLifted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for provider, settings := range map[string]sandbox.Settings{sandbox.CleverTap: {CleverTapCap: -1}, sandbox.Courier: {}} {
			settings.Rules = []sandbox.Rule{{Effect: sandbox.Hang, Delay: time.Second}}
			b := inBubble(t, settings)
			var calls []<-chan int
			for range 20 {
				calls = append(calls, b.call(t.Context(), provider))
			}
			for _, c := range calls {
				if status := <-c; status/100 != 2 {
					t.Errorf("%s: got %d", provider, status)
				}
			}
			report := b.Report()
			want(t, "peak of "+provider, max(report.CleverTap.PeakOpen, report.Courier.PeakOpen), 20)
		}
	})
}
