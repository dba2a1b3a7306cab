package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// zeroLatency is both providers in one handler that accepts everything at
// once. It notes which tokens came, and reads no more of a request than that
// needs. /expect begins a new count, /await answers when it is full.
type zeroLatency struct {
	count   atomic.Pointer[map[string]*count]
	buffers sync.Pool
}

// count is what one provider was sent.
type count struct {
	seen     []atomic.Uint64 // a bit a token
	left     atomic.Int64
	calls    atomic.Int64
	repeated atomic.Int64
	unknown  atomic.Int64
	first    atomic.Int64 // nanoseconds since 1970
	last     int64        // owned by who brings left to 0, until full is closed
	full     chan struct{}
}

// report is a count as /await answers it.
type report struct {
	Calls    int   `json:"calls"`
	Repeated int   `json:"repeated"`
	Unknown  int   `json:"unknown"`
	First    int64 `json:"first"`
	Last     int64 `json:"last"`
}

func newZeroLatency() *zeroLatency {
	z := &zeroLatency{buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	z.count.Store(&map[string]*count{})
	return z
}

func newCount(events int) *count {
	c := &count{seen: make([]atomic.Uint64, (events+63)/64), full: make(chan struct{})}
	c.left.Store(int64(events))
	return c
}

func (z *zeroLatency) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counts := *z.count.Load()
	switch path := r.RequestURI; {
	case strings.HasPrefix(path, "/courier/"):
		z.courier(w, path, counts["courier"])
	case strings.HasPrefix(path, "/clevertap/"):
		z.cleverTap(w, r, counts["clevertap"])
	case strings.HasPrefix(path, "/expect"):
		z.expect(w, r)
	default:
		await(w, r, counts)
	}
}

// tokenID stands before each token in an upload.
var tokenID = []byte(`"tokenData":{"id":"`)

func (z *zeroLatency) cleverTap(w http.ResponseWriter, r *http.Request, c *count) {
	buffer := z.buffers.Get().(*bytes.Buffer)
	defer z.buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(r.Body); err != nil || c == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.call()
	records := 0
	for rest := buffer.Bytes(); ; records++ {
		at := bytes.Index(rest, tokenID)
		if at < 0 {
			break
		}
		rest = rest[at+len(tokenID):]
		c.token(rest)
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = fmt.Fprintf(w, `{ "status" : "success" , "processed" : %d , "unprocessed" : [ ]}`, records)
}

func (z *zeroLatency) courier(w http.ResponseWriter, path string, c *count) {
	_, token, found := strings.Cut(path, "/tokens/")
	if !found || c == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.call()
	c.token([]byte(token[:min(len(token), indexDigits)]))
	w.WriteHeader(http.StatusNoContent)
}

func (c *count) call() {
	if c.calls.Add(1) == 1 {
		c.first.Store(time.Now().UnixNano())
	}
}

func (c *count) token(token []byte) {
	i, ok := index(token)
	if !ok || i/64 >= len(c.seen) {
		c.unknown.Add(1)
		return
	}
	bit := uint64(1) << (i % 64)
	if c.seen[i/64].Or(bit)&bit != 0 {
		c.repeated.Add(1)
		return
	}
	if c.left.Add(-1) == 0 {
		c.last = time.Now().UnixNano()
		close(c.full)
	}
}

// expect begins a count of that many events at each of the providers named.
func (z *zeroLatency) expect(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	events, err := strconv.Atoi(query.Get("events"))
	if err != nil || events < 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	counts := map[string]*count{}
	for _, name := range query["provider"] {
		counts[name] = newCount(events)
	}
	z.count.Store(&counts)
}

// await answers once every event has come, with a report a provider.
func await(w http.ResponseWriter, r *http.Request, counts map[string]*count) {
	reports := map[string]report{}
	for name, c := range counts {
		select {
		case <-c.full:
		case <-r.Context().Done():
			return
		}
		reports[name] = report{
			Calls: int(c.calls.Load()), Repeated: int(c.repeated.Load()), Unknown: int(c.unknown.Load()),
			First: c.first.Load(), Last: c.last,
		}
	}
	_ = json.NewEncoder(w).Encode(reports) // who asked may be gone
}
