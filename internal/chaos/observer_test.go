package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// second is a moment of a made-up run.
func second(s float64) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(s * float64(time.Second)))
}

func TestWhatIsHeldAgainstTheCap(t *testing.T) {
	t.Parallel()
	grace, limit := leaveGrace.Seconds(), (callTimeout - maxLatency).Seconds()
	cases := map[string]struct {
		call       seenCall
		freezes    []freeze
		until      float64 // seconds
		overstayed bool
	}{
		"answered":                   {seenCall{start: second(1), end: second(1.9)}, nil, 1.9, false},
		"answered late":              {seenCall{start: second(1), end: second(5)}, nil, 5, false},
		"left":                       {seenCall{start: second(1), end: second(2), left: true}, nil, 2 - grace, false},
		"still open at the end":      {seenCall{start: second(1)}, nil, 9, false},
		"stopped in the call":        {seenCall{start: second(1), end: second(4)}, []freeze{{second(1.5), second(6)}}, 1 + limit, true},
		"stopped, left at waking":    {seenCall{start: second(1), end: second(6), left: true}, []freeze{{second(1.5), second(6)}}, 1 + limit, true},
		"stopped, answered in time":  {seenCall{start: second(1), end: second(1.6)}, []freeze{{second(1.5), second(6)}}, 1.6, false},
		"stopped to the end":         {seenCall{start: second(1)}, []freeze{{from: second(1.5)}}, 1 + limit, true},
		"stopped before the call":    {seenCall{start: second(1), end: second(4)}, []freeze{{second(0.2), second(0.9)}}, 4, false},
		"stopped after the call":     {seenCall{start: second(1), end: second(4)}, []freeze{{second(4.1), second(8)}}, 4, false},
		"stopped twice, in the last": {seenCall{start: second(5), end: second(8)}, []freeze{{second(0), second(1)}, {second(5.5), second(9)}}, 5 + limit, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held, overstayed := strict(c.call, c.freezes, second(9))
			if !held.from.Equal(c.call.start) || !held.to.Equal(second(c.until)) || overstayed != c.overstayed {
				t.Errorf("counts from %s to %s (overstayed: %t), want to %s (%t)", held.from, held.to, overstayed, second(c.until), c.overstayed)
			}
		})
	}
}

// A call that its client left at once is still one call more at its arrival.
func TestAShortCallCounts(t *testing.T) {
	t.Parallel()
	short, _ := strict(seenCall{start: second(1), end: second(1.001), left: true}, nil, second(9))
	if most, _ := peak([]span{{second(0), second(2)}, short}); most != 2 {
		t.Errorf("peak is %d, want 2", most)
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spans []span
		most  int
		when  float64
	}{
		"none":             {nil, 0, 0},
		"one":              {[]span{{second(1), second(2)}}, 1, 1},
		"one by one":       {[]span{{second(1), second(2)}, {second(2), second(3)}}, 1, 1},
		"two at once":      {[]span{{second(1), second(3)}, {second(2), second(4)}}, 2, 2},
		"three, late":      {[]span{{second(1), second(2)}, {second(5), second(9)}, {second(6), second(7)}, {second(6.5), second(8)}}, 3, 6.5},
		"one within other": {[]span{{second(1), second(9)}, {second(2), second(3)}, {second(4), second(5)}}, 2, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most, when := peak(c.spans)
			if most != c.most || most > 0 && !when.Equal(second(c.when)) {
				t.Errorf("peak is %d at %s, want %d at %s", most, when, c.most, second(c.when))
			}
		})
	}
}

// door is an observed server whose handler is given.
func door(t *testing.T, pod int, handler http.HandlerFunc) (*observer, *httptest.Server) {
	t.Helper()
	o := &observer{}
	s := httptest.NewServer(o.watch(pod, handler))
	t.Cleanup(s.Close)
	return o, s
}

func TestAnAnswerEndsTheCallBeforeItIsRead(t *testing.T) {
	t.Parallel()
	cases := map[string]http.HandlerFunc{
		"status":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"body":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") },
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"connection": func(w http.ResponseWriter, _ *http.Request) { hijackAndClose(w) },
		"panic":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, handler := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, s := door(t, 2, handler)
			before := time.Now()
			if response, err := http.Post(s.URL+"/courier/users/u/tokens/t", "application/json", strings.NewReader("{}")); err == nil {
				response.Body.Close()
			}
			after := time.Now()
			calls := o.seen()
			if len(calls) != 1 {
				t.Fatalf("%d calls seen, want 1", len(calls))
			}
			c := calls[0]
			if c.provider != "courier" || c.pod != 2 || c.left || c.start.Before(before) || c.end.Before(c.start) || c.end.After(after) {
				t.Errorf("seen as %+v, want an answered call of pod 2 to courier between %s and %s", c, before, after)
			}
		})
	}
}

func hijackAndClose(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func TestACallThatItsClientLeaves(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	o, s := door(t, 0, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		<-goOn // the handler is slow to notice; the observer is not
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST /clevertap/1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	<-arrived
	_ = conn.Close()
	deadline := time.After(10 * time.Second)
	for o.seen()[0].end.IsZero() {
		select {
		case <-deadline:
			t.Fatal("the call is still open")
		case <-time.After(time.Millisecond):
		}
	}
	close(goOn)
	if !o.seen()[0].left {
		t.Error("seen as answered, want left")
	}
}
