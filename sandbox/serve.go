package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// provider is what CleverTap and Courier do each in their own way.
type provider interface {
	name() string
	records() *book
	// read takes a request apart; path is what follows the base URL, as it was sent.
	read(r *http.Request, path string) incoming
	// answer is the usual answer to records that have been judged.
	answer(incoming) answer
	// trouble is the usual body of an error.
	trouble(status int, text string) answer
}

// incoming is a request taken apart.
type incoming struct {
	records []Record // a Code is why the provider's own rules refuse it
	texts   []string // by record: the provider's words for the Code
	dryRun  bool
	early   *answer // decides when the records could not even be read
}

// answer is what goes back; the zero status is no answer at all.
type answer struct {
	status      int
	contentType string
	header      map[string]string
	body        []byte
	cut         bool // close the connection in the middle
	reset       bool // reset it at once
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, p provider, path string) {
	call := Call{Provider: p.name(), Start: time.Now()}
	book := p.records()
	book.enter(r.Context(), &call)
	var a answer
	if call.over {
		a = p.trouble(http.StatusTooManyRequests, "Too many concurrent requests")
	} else {
		a = s.decide(r, p, path, &call)
	}
	clientLeft := r.Context().Err() != nil
	if !clientLeft && !a.cut && !a.reset {
		call.Status = a.status
	}
	book.leave(call, clientLeft)
	a.write(w)
}

// decide reads the request, lets the rules speak and stores what is accepted.
func (s *Server) decide(r *http.Request, p provider, path string, call *Call) answer {
	in := p.read(r, path)
	call.Records, call.read = len(in.records), in.early == nil
	now := time.Now()
	plan := s.rules.plan(p.name(), in.records, now)
	if plan.hang != nil && !plan.hang.wait(r.Context()) {
		call.Rule = label(&plan.hang.rule)
		return answer{}
	}
	a := usual(p, in, plan, call.Seq)
	if plan.whole != nil {
		call.Rule = label(plan.whole)
		a = spoil(p, in, a, plan.whole, now)
	}
	if !pause(r.Context(), plan.delay) {
		return answer{}
	}
	return a
}

// usual answers as if no rule decided the whole call, but stores the records
// only when none does, or when it says so.
func usual(p provider, in incoming, plan plan, call int) answer {
	if in.early != nil {
		return *in.early
	}
	for i := range in.records {
		record := &in.records[i]
		record.Provider, record.Call = p.name(), call
		if plan.refuse != nil && plan.refuse[i] != nil && record.Code == "" {
			record.Code, in.texts[i] = plan.refuse[i].Code, plan.refuse[i].Text
		}
	}
	if plan.whole == nil || plan.whole.Stored {
		p.records().settle(in.records, in.dryRun)
	}
	return p.answer(in)
}

func spoil(p provider, in incoming, usual answer, rule *Rule, now time.Time) answer {
	switch rule.Effect {
	case Status:
		a := p.trouble(rule.Status, "")
		if rule.Body != "" {
			a.body = []byte(rule.Body)
		}
		a.header = map[string]string{}
		if after := rule.retryAfter(now); after != "" {
			a.header["Retry-After"] = after
		}
		maps.Copy(a.header, rule.Header)
		return a
	case Reset:
		return answer{reset: true}
	case Truncate:
		usual.cut = true
		return usual
	case HTML:
		return answer{status: http.StatusOK, contentType: "text/html; charset=utf-8", body: []byte(portalPage)}
	case Redirect:
		return answer{status: http.StatusFound, header: map[string]string{"Location": ControlPath + "/elsewhere"}}
	case Miscount:
		if in.early == nil {
			return miscounted(len(in.records))
		}
	}
	return usual
}

const portalPage = "<!DOCTYPE html>\n<html><head><title>Welcome to the network</title></head><body><h1>Please sign in</h1></body></html>\n"

func label(r *Rule) string {
	if r.Name != "" {
		return r.Name
	}
	return string(r.Effect)
}

// pause reports false when the client left before it was over.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a answer) write(w http.ResponseWriter) {
	switch {
	case a.reset:
		abort(w, "", 0)
	case a.cut && len(a.body) == 0:
		abort(w, fmt.Sprintf("HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status)), -1)
	case a.cut:
		abort(w, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			a.status, http.StatusText(a.status), a.contentType, len(a.body), a.body[:len(a.body)/2]), -1)
	case a.status == 0:
		panic(http.ErrAbortHandler) // the client has left
	}
	if a.cut || a.reset {
		return
	}
	header := w.Header()
	if a.contentType != "" {
		header.Set("Content-Type", a.contentType)
	}
	for name, value := range a.header {
		header.Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // an error is the client's loss
}

// abort ends the connection after some bytes; with linger 0 by a reset.
func abort(w http.ResponseWriter, last string, linger int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or a recorder
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(linger)
	}
	_, _ = io.WriteString(conn, last)
	_ = conn.Close()
}

var errTooLarge = errors.New("body too large")

// readBody reads a JSON body of at most limit bytes.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= limit {
		body.Grow(int(r.ContentLength) + bytes.MinRead) // the buffer wants that much room to see the end
	}
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooLarge
	}
	return body.Bytes(), nil
}

// isJSON tells whether the request says that its body is JSON, in UTF-8.
func isJSON(r *http.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
