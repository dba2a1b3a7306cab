package providerstest

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// testHints: whoever reads why a provider is held learns which variable to
// look at, or that there is none.
func testHints(t *testing.T, s Subject) {
	const resumes = "delivery resumes by itself"
	for status, words := range map[int][]string{
		401: {"check "},
		403: {"check "},
		429: {"other callers", "_MAX_CONCURRENT"},
		302: {"_BASE_URL", "_REGION"},
		408: {resumes, "nothing to set"},
		500: {resumes, "nothing to set"},
		502: {resumes, "nothing to set"},
		503: {resumes, "nothing to set"},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				s.Error(w, status, "some words")
			})
			wantHint(t, s.call(t, s.start(t, url)), words...)
		})
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		over := make(chan struct{})
		url, _ := serve(t, func(http.ResponseWriter, *http.Request) { <-over })
		t.Cleanup(func() { close(over) })
		p := s.New(t, Options{BaseURL: url, Timeout: 50 * time.Millisecond, MaxRetryAfter: time.Hour})
		wantHint(t, s.call(t, p), "HTTP_TIMEOUT", resumes)
	})
}

func wantHint(t *testing.T, a providers.Answer, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(a.Hint, word) {
			t.Errorf("%s, status %d: hint %q lacks %q", a.Result, a.Status, a.Hint, word)
		}
	}
}
