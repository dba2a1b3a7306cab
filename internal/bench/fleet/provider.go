package main

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// provider is CleverTap with a fixed latency that notes what it sees. A call
// over the cap is answered 429, as the real one does.
type provider struct {
	latency time.Duration

	mu        sync.Mutex
	open      int
	peak      int
	calls     int
	throttled int
	repeated  int
	accepted  map[string]time.Time // by token, when the answer went out
	first     time.Time            // arrival of the first call
	half      time.Time            // when enough was accepted to judge the speed by
	enough    int
	full      chan struct{} // closed when as many tokens as expected are accepted
	expected  int
}

func newProvider(latency time.Duration, expected int) *provider {
	return &provider{latency: latency, accepted: make(map[string]time.Time, expected), expected: expected,
		enough: expected * 9 / 10, full: make(chan struct{})}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var upload struct {
		Records []struct {
			Token struct {
				ID string `json:"id"`
			} `json:"tokenData"`
		} `json:"d"`
	}
	if !p.enter() {
		w.WriteHeader(http.StatusTooManyRequests)
		p.leave()
		return
	}
	if json.NewDecoder(r.Body).Decode(&upload) != nil {
		w.WriteHeader(http.StatusBadRequest)
		p.leave()
		return
	}
	select {
	case <-time.After(p.latency):
	case <-r.Context().Done():
		p.leave()
		return
	}
	tokens := make([]string, len(upload.Records))
	for i, record := range upload.Records {
		tokens[i] = record.Token.ID
	}
	p.accept(tokens)
	p.leave() // before the answer: a client that has it may call again
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "processed": len(tokens), "unprocessed": []any{}})
}

func (p *provider) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() {
		p.first = time.Now()
	}
	p.open++
	p.peak = max(p.peak, p.open)
	if p.open > limit {
		p.throttled++
		return false
	}
	p.calls++
	return true
}

func (p *provider) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
}

func (p *provider) accept(tokens []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, token := range tokens {
		if _, known := p.accepted[token]; known {
			p.repeated++
			continue
		}
		p.accepted[token] = now
		if len(p.accepted) == p.enough {
			p.half = now
		}
		if len(p.accepted) == p.expected {
			close(p.full)
		}
	}
}

// seen is what a provider saw in all.
type seen struct {
	peak, calls, throttled, repeated, records int
}

func (p *provider) seen() seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return seen{p.peak, p.calls, p.throttled, p.repeated, len(p.accepted) + p.repeated}
}

func (s seen) recordsACall() float64 { return float64(s.records) / float64(max(s.calls, 1)) }

// speed is tokens a second until nine tenths were accepted: the last tenth has
// calls that are not full and senders with nothing left to do.
func (p *provider) speed() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.enough) / p.half.Sub(p.first).Seconds()
}
