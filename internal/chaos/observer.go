package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// observer stands at the providers and writes down when each call was open:
// from the arrival of its request until its answer is written or its client
// leaves, whichever comes first.
type observer struct {
	mu    sync.Mutex
	calls []*seenCall
}

// seenCall is one call as the provider saw it.
type seenCall struct {
	provider   string
	pod        int
	start, end time.Time // the zero end: still open
	left       bool      // ended by its client, not by an answer
}

// watch is the door of one pod.
func (o *observer) watch(pod int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := &seenCall{provider: providerOf(r.URL.Path), pod: pod, start: time.Now()}
		o.mu.Lock()
		o.calls = append(o.calls, call)
		o.mu.Unlock()
		watched := &answering{ResponseWriter: w, ends: func() { o.end(call, false) }}
		stop := context.AfterFunc(r.Context(), func() { o.end(call, true) })
		defer stop()
		// Also when the handler gives up the connection by a panic.
		defer o.end(call, false)
		next.ServeHTTP(watched, r)
	})
}

func (o *observer) end(call *seenCall, left bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if call.end.IsZero() {
		call.end, call.left = time.Now(), left
	}
}

// seen is a copy of all calls, in the order of their arrival.
func (o *observer) seen() []seenCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	copies := make([]seenCall, len(o.calls))
	for i, call := range o.calls {
		copies[i] = *call
	}
	return copies
}

// answering notes the end of a call before the first byte of its answer: who
// has read that may open the next call at once.
type answering struct {
	http.ResponseWriter
	ends func()
}

func (a *answering) WriteHeader(status int) {
	a.ends()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(body []byte) (int, error) {
	a.ends()
	return a.ResponseWriter.Write(body)
}

func (a *answering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.ends()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// span is a time in which a call counts as open.
type span struct{ from, to time.Time }

// leaveGrace is how much later than the next call's arrival we may see that a
// client left: it closed one connection and opened the next, in that order,
// but both came to us through goroutines of a proxy and of a server, on a
// machine that has more to do.
const leaveGrace = 100 * time.Millisecond

// strict is the time for which a call is held against the cap.
//
// A call that its client left counts until a little before we saw it, see
// leaveGrace. A call of a process that was stopped in the very call stays open
// for as long as the stop, and no lease can cover that: it counts until the
// moment at which its process, had it run, would have left it, less what the
// line may have delayed its arrival. What follows is reported as overstayed.
func strict(call seenCall, freezes []freeze, end time.Time) (held span, overstayed bool) {
	held = span{call.start, call.end}
	if call.end.IsZero() {
		held.to = end
	}
	if limit := call.start.Add(callTimeout - maxLatency); held.to.After(limit) && slices.ContainsFunc(freezes, func(f freeze) bool {
		return f.from.Before(held.to) && (f.to.IsZero() || f.to.After(held.from))
	}) {
		held.to, overstayed = limit, true
	}
	if call.left && !overstayed {
		held.to = held.to.Add(-leaveGrace)
	}
	if !held.to.After(held.from) {
		held.to = held.from.Add(1) // at its arrival it counts
	}
	return held, overstayed
}

// peak is the most spans at one moment, and the first such moment.
func peak(spans []span) (most int, when time.Time) {
	type change struct {
		at time.Time
		by int
	}
	var changes []change
	for _, s := range spans {
		changes = append(changes, change{s.from, 1}, change{s.to, -1})
	}
	slices.SortFunc(changes, func(a, b change) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.by - b.by // an end before a beginning at the same moment
	})
	open := 0
	for _, c := range changes {
		if open += c.by; open > most {
			most, when = open, c.at
		}
	}
	return most, when
}
