package providerstest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/providers"
)

// testGzip: nobody asked for it, but some proxies answer with it all the same.
func testGzip(t *testing.T, s Subject) {
	const words = "words of the other side"
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	fails := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { s.Error(w, status, words) }
	}
	for name, c := range map[string]struct {
		answer   http.HandlerFunc
		encoding string
		spoil    func([]byte) []byte // of the compressed bytes
		want     providers.Result
		reason   string
	}{
		"accepted":         {s.Accept, "gzip", nil, providers.OK, ""},
		"accepted, X-GZIP": {s.Accept, "X-GZIP", nil, providers.OK, ""},
		"throttled":        {fails(429), "gzip", nil, providers.Throttled, words},
		"credentials":      {fails(401), "gzip", nil, providers.Unauthorized, words},
		"server error":     {fails(500), "gzip", nil, providers.Unavailable, words},
		"a proxy's page":   {says(503, "<html><title>Maintenance</title>"), "gzip", nil, providers.Unavailable, `"Maintenance"`},
		"a proxy's words":  {says(502, words), "gzip", nil, providers.Unavailable, words},
		"not gzip at all":  {says(502, words), "gzip", func([]byte) []byte { return []byte(words) }, providers.Unavailable, words},
		"nothing":          {says(502, ""), "gzip", func([]byte) []byte { return nil }, providers.Unavailable, "Bad Gateway"},
		"cut off": {says(400, words), "gzip", func(b []byte) []byte { return b[:len(b)-9] },
			providers.Unavailable, "before the end of the answer"},
		"broken": {says(400, words), "gzip", func(b []byte) []byte { return append([]byte{0x1f, 0x8b}, b...) },
			providers.Unavailable, "no usable answer"},
		"far too large": {says(400, strings.Repeat(" ", 4<<20)), "gzip", nil, providers.Unavailable, "larger than 1 MiB"},
		"another encoding": {says(503, words), "br", func([]byte) []byte { return []byte("\x0b\x0b\x80\x8f\xff\x03") },
			providers.Unavailable, "a body of 6 bytes that is no text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Accept-Encoding"); got != "" {
					t.Errorf("asks for %q", got)
				}
				plain := httptest.NewRecorder()
				c.answer(plain, r)
				w.Header().Set("Content-Encoding", c.encoding)
				w.WriteHeader(plain.Code)
				if plain.Code == http.StatusNoContent {
					return
				}
				body := compress(plain.Body.Bytes())
				if c.spoil != nil {
					body = c.spoil(body)
				}
				w.Write(body)
			})
			a := s.call(t, s.start(t, url))
			if a.Result != c.want || !strings.Contains(a.Reason, c.reason) || requests.Load() != 1 {
				t.Errorf("%d requests, got %+v; want %s, %q", requests.Load(), a, c.want, c.reason)
			}
		})
	}
}

// testNoText: bytes that are no text are told of, not shown.
func testNoText(t *testing.T, s Subject) {
	picture := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00"
	for name, body := range map[string]string{
		"a picture":     picture,
		"gzip, unnamed": string(compress([]byte("words of the other side"))),
		"UTF-16":        "\xff\xfeN\x00o\x00!\x00",
		"a tag at last": "<\x00\x01\x02\x03\x04",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/octet-stream")
				w.WriteHeader(http.StatusBadGateway)
				io.WriteString(w, body)
			})
			a := s.call(t, s.start(t, url))
			if want := fmt.Sprintf(": HTTP 502: a body of %d bytes that is no text", len(body)); !strings.HasSuffix(a.Reason, want) {
				t.Errorf("reason %q; want …%q", a.Reason, want)
			}
		})
	}
}

func compress(plain []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(plain) // a bytes.Buffer takes everything
	w.Close()
	return out.Bytes()
}
