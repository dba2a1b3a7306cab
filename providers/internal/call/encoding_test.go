package call

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

type answering struct{ response *http.Response }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a.response, nil }

// A megabyte of it is unpacked and no more; it is inside the package because
// only here the buffer can be seen.
func TestBombStaysSmall(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	block := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	client := New(Settings{Timeout: time.Minute, Transport: answering{&http.Response{
		StatusCode: http.StatusBadRequest, ContentLength: int64(bomb.Len()),
		Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(&bomb),
	}}})
	reply := client.Do(t.Context(), &url.URL{Scheme: "http", Host: "host"}, []providers.Record{{Body: []byte("{}")}})
	defer client.Free(&reply)
	if !errors.Is(reply.fault, errOversized) || reply.buffer.Cap() > 4*maxAnswer {
		t.Errorf("%v, and a buffer of %d bytes", reply.fault, reply.buffer.Cap())
	}
}

func TestNoText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		"Bad Gateway\r\n\t.": "",
		"Zugriff verweigert für Gäste: γεια, 😀": "",
		"Zugriff verweigert f\xfcr alle":        "", // Latin-1
		"\x1b[31mNo access\x1b[0m":              "", // a terminal's colours
		"\x00":                                  "a body of 1 bytes that is no text",
		"\xff\xfeN\x00o\x00":                    "a body of 6 bytes that is no text",
		strings.Repeat("a", 2*maxPage):          "",
		strings.Repeat("ä", maxPage):            "", // cut within none
		"x" + strings.Repeat("ä", maxPage):      "", // cut within one
		strings.Repeat("\x80a", maxPage):        "a body of 2048 bytes that is no text",
	} {
		if got := noText([]byte(text)); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
}
