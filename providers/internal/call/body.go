package call

import (
	"bytes"

	"github.com/tokenrelay/tokenrelay/providers"
)

// Frame is what stands around and between the records of a body. The zero
// Frame is for bodies of one bare record.
type Frame struct {
	Open, Between, Close string
}

// body writes records into one request body.
//
// It is a bytes.Reader because net/http sends the headers in a write of their
// own before any other kind of reader, a third of the CPU of a short call. It
// is not taken from a pool: the transport may read it in a goroutine of its
// own after the answer has come, and never says when it has done.
func (f Frame) body(records []providers.Record) *bytes.Reader {
	if f == (Frame{}) && len(records) == 1 {
		return bytes.NewReader(records[0].Body) // never changed, so that it need not be copied
	}
	size := len(f.Open) + len(f.Close) + len(f.Between)*len(records)
	for i := range records {
		size += len(records[i].Body)
	}
	out := append(make([]byte, 0, size), f.Open...)
	for i := range records {
		if i > 0 {
			out = append(out, f.Between...)
		}
		out = append(out, records[i].Body...)
	}
	return bytes.NewReader(append(out, f.Close...))
}
