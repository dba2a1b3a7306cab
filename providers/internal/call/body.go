package call

import (
	"io"
	"net/http"
	"sync"

	"github.com/tokenrelay/tokenrelay/providers"
)

// Frame is what stands around and between the records of a body.
type Frame struct {
	Open, Between, Close []byte
}

func (f Frame) size(records []providers.Record) int64 {
	n := len(f.Open) + len(f.Close) + len(f.Between)*(len(records)-1)
	for i := range records {
		n += len(records[i].Body)
	}
	return int64(n)
}

// body reads records as one request body without copying them together.
//
// The transport may still read it in a goroutine of its own after the answer
// has come. The records are the caller's again by then, so Close waits for a
// Read under way and ends all later ones.
type body struct {
	frame   Frame
	mu      sync.Mutex
	records []providers.Record // what was not yet begun
	rest    []byte             // of the piece under way
	first   bool
	ended   bool // the closing piece was begun
	closed  bool
}

func newBody(frame Frame, records []providers.Record) *body {
	return &body{frame: frame, records: records, rest: frame.Open, first: true}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n := 0
	for n < len(p) {
		if len(b.rest) == 0 && !b.next() {
			return n, io.EOF
		}
		c := copy(p[n:], b.rest)
		b.rest = b.rest[c:]
		n += c
	}
	return n, nil
}

// next begins the next piece that is not empty.
func (b *body) next() bool {
	for len(b.rest) == 0 {
		switch {
		case len(b.records) > 0 && !b.first && b.frame.Between != nil:
			b.rest, b.first = b.frame.Between, true
		case len(b.records) > 0:
			b.rest, b.first = b.records[0].Body, false
			b.records = b.records[1:]
		case !b.ended:
			b.rest, b.ended = b.frame.Close, true
		default:
			return false
		}
	}
	return true
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.records, b.rest = true, nil, nil
	return nil
}
