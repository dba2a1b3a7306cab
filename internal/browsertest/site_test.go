package browsertest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// site serves pages by path; "POST /path" is the answer to that. It allows no
// inline script, as a page that is careful does.
type site map[string]string

const careful = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src *; form-action 'self'"

func (s site) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := s[r.Method+" "+r.URL.Path]
	if !ok {
		text, ok = s[r.URL.Path]
	}
	kind := "text/html; charset=utf-8"
	switch {
	case strings.HasSuffix(r.URL.Path, ".js"):
		kind = "text/javascript; charset=utf-8"
	case strings.HasSuffix(r.URL.Path, ".jsonl"):
		kind = "application/jsonl"
		w.Header().Set("Content-Disposition", `attachment; filename="letters.jsonl"`)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Security-Policy", careful)
	switch {
	case strings.HasSuffix(r.URL.Path, ".events"):
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case text == "":
		w.WriteHeader(http.StatusNoContent)
	}
	io.WriteString(w, text)
}

// document is a page without a fault, around a body.
func document(body string) string {
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Letters</title>` +
		`<meta name="viewport" content="width=device-width"></head><body>` + body + `</body></html>`
}

// open opens the site's first page in a browser of its own.
func open(t *testing.T, s site) (*browsertest.Tab, string) {
	t.Helper()
	url := s.serve(t)
	tab := browsertest.New(t).Tab(t)
	tab.Open(url + "/")
	return tab, url
}

// verdict is a test that is expected to fail, and what it says then.
type verdict struct {
	testing.TB
	fatal    string
	errors   []string
	cleanups []func()
}

func (v *verdict) Helper()          {}
func (v *verdict) Cleanup(f func()) { v.cleanups = append(v.cleanups, f) }
func (v *verdict) Errorf(format string, args ...any) {
	v.errors = append(v.errors, fmt.Sprintf(format, args...))
}
func (v *verdict) Fatalf(format string, args ...any) {
	v.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// judge runs a test until its end, or its failure.
func judge(t *testing.T, test func(t testing.TB)) *verdict {
	t.Helper()
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(v.cleanups) {
				f()
			}
		}()
		test(v)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("a test that is expected to fail does not end")
	}
	return v
}
