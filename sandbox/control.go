package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Report tells what was seen since the start or the last Reset.
func (s *Server) Report() Report {
	s.clevertap.book.mu.Lock()
	since := s.clevertap.book.since
	s.clevertap.book.mu.Unlock()
	return Report{
		Since:     since,
		CleverTap: s.clevertap.book.report(),
		Courier:   s.courier.book.report(),
		Rules:     s.rules.report(time.Now()),
	}
}

// Wait returns when the report fulfils the condition, or with ctx's error. It
// looks again after each change, so no test needs to sleep.
func (s *Server) Wait(ctx context.Context, condition func(Report) bool) error {
	return s.watch.until(ctx, func() bool { return condition(s.Report()) })
}

// Accepted copies the remembered records that a provider accepted, oldest first.
func (s *Server) Accepted(provider string) []Record { return s.recorded(provider, false) }

// Refused copies the remembered records that a provider refused by name,
// oldest first; one that was sent again is there again.
func (s *Server) Refused(provider string) []Record { return s.recorded(provider, true) }

func (s *Server) recorded(provider string, refused bool) []Record {
	if b := s.book(provider); b != nil {
		return slices.Collect(b.from(refused, 0))
	}
	return nil
}

// Calls copies the remembered calls to a provider, in the order they ended.
func (s *Server) Calls(provider string) []Call {
	if b := s.book(provider); b != nil {
		return b.lastCalls()
	}
	return nil
}

// Rules lists the rules that were set and not removed, those over included.
func (s *Server) Rules() []Rule { return s.rules.list() }

// SetRules replaces all rules; their time begins now, and calls that hang by
// an old one are let go. Its error has one line for each mistake, and then
// nothing has changed.
func (s *Server) SetRules(rules ...Rule) error {
	if err := errors.Join(validateRules(rules)...); err != nil {
		return err
	}
	s.rules.set(rules, time.Now())
	s.watch.changed()
	return nil
}

// AddRules adds rules after those there are.
func (s *Server) AddRules(rules ...Rule) error {
	if err := errors.Join(validateRules(rules)...); err != nil {
		return err
	}
	s.rules.add(rules, time.Now())
	s.watch.changed()
	return nil
}

// RemoveRule removes the rules of that name and tells how many there were.
// Calls that hang by them are let go.
func (s *Server) RemoveRule(name string) int {
	defer s.watch.changed()
	return s.rules.remove(name)
}

// ClearRules removes all rules. Calls that hang are let go.
func (s *Server) ClearRules() { _ = s.SetRules() }

// SetPasscode changes what CleverTap demands from now on, as a rotation does.
func (s *Server) SetPasscode(passcode string) { s.clevertap.passcode.Store(&passcode) }

// SetAPIKey changes what Courier demands from now on, as a rotation does.
func (s *Server) SetAPIKey(apiKey string) { s.courier.apiKey.Store(&apiKey) }

// Reset forgets everything recorded and counted, the rules not.
func (s *Server) Reset() {
	s.clevertap.book.reset()
	s.courier.book.reset()
}

func (s *Server) book(provider string) *book {
	switch provider {
	case CleverTap:
		return s.clevertap.book
	case Courier:
		return s.courier.book
	}
	return nil
}

const (
	maxRules = 1 << 20 // bytes
	maxWait  = time.Minute
)

// control serves the sandbox's own pages.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ControlPath+"/report", func(w http.ResponseWriter, r *http.Request) { show(w, s.Report()) })
	mux.HandleFunc("GET "+ControlPath+"/accepted", func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, false) })
	mux.HandleFunc("GET "+ControlPath+"/refused", func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, true) })
	mux.HandleFunc("GET "+ControlPath+"/calls", s.showCalls)
	mux.HandleFunc("GET "+ControlPath+"/rules", func(w http.ResponseWriter, r *http.Request) { show(w, s.Rules()) })
	mux.HandleFunc("PUT "+ControlPath+"/rules", func(w http.ResponseWriter, r *http.Request) { takeRules(w, r, s.SetRules) })
	mux.HandleFunc("POST "+ControlPath+"/rules", func(w http.ResponseWriter, r *http.Request) { takeRules(w, r, s.AddRules) })
	mux.HandleFunc("DELETE "+ControlPath+"/rules", s.deleteRules)
	mux.HandleFunc("PUT "+ControlPath+"/credentials", s.takeCredentials)
	mux.HandleFunc("POST "+ControlPath+"/reset", func(w http.ResponseWriter, r *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, usage) })
	mux.HandleFunc("GET "+ControlPath+"/{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, usage) })
	return mux
}

const usage = `This is a sandbox: a double of CleverTap and Courier.

CleverTap   POST   /clevertap/1/upload
Courier     PUT    /courier/users/{user_id}/tokens/{token}

Look        GET    /sandbox/report                      counters, calls open, rules
            GET    /sandbox/accepted?provider=courier   one JSON record a line; also token=, identity=, after=SEQ, limit=N,
                                                        and wait=10s: until there is one
            GET    /sandbox/refused?provider=clevertap  the same for refused ones
            GET    /sandbox/calls?provider=clevertap    the last calls
Faults      GET    /sandbox/rules
            PUT    /sandbox/rules                       a JSON array of rules, instead of those there are
            POST   /sandbox/rules                       more of them
            DELETE /sandbox/rules                       all of them, or ?name=…
Rotate      PUT    /sandbox/credentials                 {"clevertap_passcode": …, "courier_api_key": …}, one or both
Afresh      POST   /sandbox/reset                       forget all records and counters
`

// stream writes records as JSON lines, copying a page at a time.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, refused bool) {
	query := r.URL.Query()
	book := s.book(query.Get("provider"))
	after, errAfter := number(query.Get("after"), 0)
	limit, errLimit := number(query.Get("limit"), s.settings.Keep)
	wait, errWait := time.ParseDuration(or(query.Get("wait"), "0s"))
	switch {
	case book == nil:
		http.Error(w, "provider: want clevertap or courier", http.StatusBadRequest)
		return
	case errAfter != nil || errLimit != nil:
		http.Error(w, "after, limit: want a number, 0 or more", http.StatusBadRequest)
		return
	case errWait != nil || wait < 0 || wait > maxWait:
		http.Error(w, "wait: want a duration like 10s, at most "+maxWait.String(), http.StatusBadRequest)
		return
	}
	wanted := func(record Record) bool {
		return (!query.Has("token") || query.Get("token") == record.Token) && (!query.Has("identity") || query.Get("identity") == record.Identity)
	}
	if wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		_ = s.watch.until(ctx, func() bool { // when the time is over the answer is empty
			for record := range book.from(refused, after) {
				if wanted(record) {
					return true
				}
				after = record.Seq
			}
			return false
		})
	}
	w.Header().Set("Content-Type", "application/jsonl")
	for record := range book.from(refused, after) {
		if limit == 0 {
			return
		}
		if !wanted(record) {
			continue
		}
		limit--
		if json.MarshalWrite(w, record) != nil {
			return // the client has left
		}
		_, _ = io.WriteString(w, "\n")
	}
}

func (s *Server) showCalls(w http.ResponseWriter, r *http.Request) {
	provider := r.URL.Query().Get("provider")
	if s.book(provider) == nil {
		http.Error(w, "provider: want clevertap or courier", http.StatusBadRequest)
		return
	}
	show(w, s.Calls(provider))
}

func (s *Server) deleteRules(w http.ResponseWriter, r *http.Request) {
	if query := r.URL.Query(); !query.Has("name") {
		s.ClearRules()
	} else if s.RemoveRule(query.Get("name")) == 0 {
		http.Error(w, "name: there is no such rule", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func takeRules(w http.ResponseWriter, r *http.Request, take func(...Rule) error) {
	body, err := readBody(r, maxRules)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rules, err := ParseRules(body)
	if err == nil {
		err = take(rules...)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// takeCredentials never shows what it was sent.
func (s *Server) takeCredentials(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Passcode string `json:"clevertap_passcode"`
		APIKey   string `json:"courier_api_key"`
	}
	body, err := readBody(r, maxRules)
	if err != nil || json.Unmarshal(body, &wanted, json.RejectUnknownMembers(true)) != nil || wanted.Passcode == "" && wanted.APIKey == "" {
		http.Error(w, "want a JSON object with the texts clevertap_passcode, courier_api_key or both, none of them empty", http.StatusBadRequest)
		return
	}
	if wanted.Passcode != "" {
		s.SetPasscode(wanted.Passcode)
	}
	if wanted.APIKey != "" {
		s.SetAPIKey(wanted.APIKey)
	}
	w.WriteHeader(http.StatusNoContent)
}

func show(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := toJSON(w, value); err != nil {
		http.Error(w, fmt.Sprintf("cannot show: %v", err), http.StatusInternalServerError)
	}
}

func number(text string, fallback int) (int, error) {
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
