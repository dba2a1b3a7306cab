package call

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inflate undoes a compression that nobody asked for: net/http does so only
// for those who asked, and some proxies do not care. What comes out is bounded
// as a plain answer is.
func (c *Client) inflate(r *Reply) {
	if !isGzip(r.Header) || !bytes.HasPrefix(r.Body, []byte{0x1f, 0x8b}) {
		return
	}
	packed := r.buffer
	defer c.free(packed)
	r.buffer = c.emptyBuffer()
	unzip, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err == nil {
		_, err = r.buffer.ReadFrom(io.LimitReader(unzip, maxAnswer+1))
	}
	r.Body = r.buffer.Bytes()
	switch {
	case r.fault != nil: // cut off: why is known already
	case len(r.Body) > maxAnswer:
		r.fault = errOversized
	default:
		r.fault = err
	}
}

// https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
func isGzip(h http.Header) bool {
	encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding")))
	return encoding == "gzip" || encoding == "x-gzip"
}

// noText is what can be said about bytes that people cannot read; it is empty
// for a text, be it of an alphabet from before UTF-8.
func noText(body []byte) string {
	runes, strange := 0, 0
	for rest := body[:min(len(body), maxPage)]; len(rest) > 0; runes++ {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) {
			strange++
		}
		rest = rest[n:]
	}
	if 8*strange <= runes {
		return ""
	}
	return fmt.Sprintf("a body of %d bytes that is no text", len(body))
}
