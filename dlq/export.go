package dlq

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// Export writes a line a letter of a filter up to a place in the stream, oldest
// first, and returns how many it wrote. It reports that number as it grows.
// The letters stay.
func (r *Reader) Export(ctx context.Context, f Filter, through uint64, out io.Writer, report func(written int)) (n int, err error) {
	w := bufio.NewWriterSize(out, 1<<16)
	var line []byte
	for l, err := range r.Letters(ctx, f, through, Whole) {
		if err == nil {
			line, err = l.AppendExport(line[:0])
		}
		if err == nil {
			_, err = w.Write(line)
		}
		if err != nil {
			return n, errors.Join(err, w.Flush())
		}
		n++
		report(n)
	}
	return n, w.Flush()
}

// Exported is the letter in the form that `dlq export` writes and
// `publisher import` reads.
func (l *Stored) Exported() publisher.ExportedLetter {
	e := publisher.ExportedLetter{Provider: l.Provider, Headers: l.Header}
	if e.Headers.Get(HeaderID) == "" {
		e.Headers = nats.Header{HeaderID: {l.ID}}
		maps.Copy(e.Headers, l.Header)
	}
	if body := jsontext.Value(l.Body); body.IsValid() && !bytes.ContainsAny(body, "\r\n") && len(bytes.TrimSpace(body)) == len(body) {
		e.Body = body
	} else {
		e.BodyBase64 = l.Body
	}
	return e
}

// AppendExport appends the letter's line of `dlq export`, newline included.
// The body is written as it is: an encoder would take white space out of it.
func (l *Stored) AppendExport(line []byte) ([]byte, error) {
	e := l.Exported()
	body := e.Body
	if body != nil {
		e.Body = jsontext.Value("null")
	}
	text, err := json.Marshal(e, json.Deterministic(true))
	if err != nil {
		return line, fmt.Errorf("letter %s: %w", l.ID, err)
	}
	if body != nil {
		text = bytes.TrimSuffix(text, []byte("null}"))
		text = append(append(text, body...), '}')
	}
	return append(append(line, text...), '\n'), nil
}
