// Package providerstest is the conformance suite of the providers: what must
// hold for every one of them whatever the other side does. A provider's own
// tests run it, and prove besides what only that provider knows.
//
// It knows HTTP, fake servers that misbehave and the vocabulary of package
// providers; it refuses to know any provider. Each test owns its server.
package providerstest

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

// Options are the settings that the suite varies.
type Options struct {
	BaseURL       string
	Timeout       time.Duration
	MaxRetryAfter time.Duration
	Transport     http.RoundTripper // nil for the provider's own
}

// Subject is a provider under test.
type Subject struct {
	// New makes the provider. What it opens is closed when t ends.
	New func(t *testing.T, o Options) providers.Provider
	// Secrets are the credentials that New uses.
	Secrets []string
	// Event makes a valid event addressed to the provider, another one for
	// each n.
	Event func(n int) *event.Event
	// Accept answers as the provider does when it takes every record.
	Accept http.HandlerFunc
	// Refuse answers as the provider does when it refuses every record by
	// name, with words in its message.
	Refuse func(w http.ResponseWriter, r *http.Request, words string)
	// Error answers with status and, in the provider's own format, words.
	Error func(w http.ResponseWriter, status int, words string)
	// Judge is the result of a status whose body is not the provider's.
	Judge func(status int, body string) providers.Result
	// Parallel is how many calls keep their connection.
	Parallel int
}

// Run runs the whole suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"accepted", testAccepted},
		{"wrong number of records", testWrongNumber},
		{"every status", testEveryStatus},
		{"retry after", testRetryAfter},
		{"redirects", testRedirects},
		{"time-out", testTimeout},
		{"interrupted", testInterrupted},
		{"broken connections", testBrokenConnections},
		{"broken answers", testBrokenAnswers},
		{"huge answers", testHugeAnswers},
		{"closed port", testClosedPort},
		{"no such host", testNoSuchHost},
		{"not TLS", testNotTLS},
		{"one request a call", testOneRequest},
		{"connections are reused", testReuse},
		{"no cookies", testNoCookies},
		{"records are the caller's again", testRecordsReturned},
		{"path before the provider's", testPathPrefix},
		{"gzip", testGzip},
		{"no text", testNoText},
		{"hints", testHints},
		{"nothing leaks", testLeaks},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, s)
		})
	}
}

// generous is a time-out that no test waits for.
const generous = time.Minute

func (s Subject) start(t *testing.T, baseURL string) providers.Provider {
	t.Helper()
	return s.New(t, Options{BaseURL: baseURL, Timeout: generous, MaxRetryAfter: time.Hour})
}

func (s Subject) records(t *testing.T, p providers.Provider, n int) []providers.Record {
	t.Helper()
	records := make([]providers.Record, n)
	for i := range records {
		r, err := p.Prepare(s.Event(i))
		if err != nil {
			t.Fatalf("Prepare: %v", err)
		}
		records[i] = r
	}
	return records
}

// call makes a call of one record and checks what holds for every answer.
func (s Subject) call(t *testing.T, p providers.Provider) providers.Answer {
	t.Helper()
	records := s.records(t, p, 1)
	a := p.Call(t.Context(), records)
	CheckAnswer(t, a, len(records))
	return a
}

func want(t *testing.T, a providers.Answer, result providers.Result, status int, code string) {
	t.Helper()
	if a.Result != result || a.Status != status || a.Code != code {
		t.Errorf("got %s, status %d, code %q; want %s, %d, %q; answer %+v", a.Result, a.Status, a.Code, result, status, code, a)
	}
}

// codeOf is the code that stands for a status alone.
func codeOf(status int) string {
	if status < 300 {
		return "unavailable"
	}
	return "http_" + strconv.Itoa(status)
}
