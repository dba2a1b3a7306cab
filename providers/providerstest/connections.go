package providerstest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// testOneRequest: net/http sends some requests again when a connection that
// it kept alive turns out to be dead.
func testOneRequest(t *testing.T, s Subject) {
	url, requests := serveRaw(t, func(n int64, conn *net.TCPConn) bool {
		if n == 2 {
			return false // closed with the request read and no byte answered
		}
		io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	p := s.start(t, url)
	for i, status := range []int{503, 0, 503} {
		a := s.call(t, p)
		if a.Result != providers.Unavailable || a.Status != status {
			t.Errorf("call %d: %+v", i+1, a)
		}
		if got := requests.Load(); got != int64(i+1) {
			t.Fatalf("%d requests after %d calls", got, i+1)
		}
	}
}

// testReuse opens as many calls at once as keep their connection, some rounds
// long, and counts the connections.
func testReuse(t *testing.T, s Subject) {
	var connections atomic.Int64
	var round atomic.Pointer[sync.WaitGroup]
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		all := round.Load()
		all.Done()
		all.Wait()
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, strings.Repeat("body ", 1000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)

	p := s.start(t, server.URL)
	for range 5 {
		all := new(sync.WaitGroup)
		all.Add(s.Parallel)
		round.Store(all)
		var calls sync.WaitGroup
		for range s.Parallel {
			calls.Go(func() { s.call(t, p) })
		}
		calls.Wait()
	}
	if got := connections.Load(); got != int64(s.Parallel) {
		t.Errorf("%d connections for %d calls at a time", got, s.Parallel)
	}
}

func testNoCookies(t *testing.T, s Subject) {
	var seen atomic.Bool
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(seen.Load() || r.Header.Get("Cookie") != "")
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"})
		s.Accept(w, r)
	})
	p := s.start(t, url)
	for range 2 {
		s.call(t, p)
	}
	if seen.Load() {
		t.Error("a cookie was sent back")
	}
}

// testRecordsReturned: a transport may answer while the request is still
// being sent. After Call the slice of records is the caller's to write into,
// and what is sent stays what it was.
func testRecordsReturned(t *testing.T, s Subject) {
	for name, returned := range map[string]chan struct{}{"at the same time": closed(), "afterwards": make(chan struct{})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sending sync.WaitGroup
			var sent []byte
			p := s.New(t, Options{BaseURL: "http://host", Timeout: generous, MaxRetryAfter: time.Hour, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				sending.Go(func() {
					<-returned
					sent, _ = io.ReadAll(r.Body)
					r.Body.Close()
				})
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
			})})
			records := s.records(t, p, p.MaxRecords())
			want := slices.Clone(records)
			p.Call(t.Context(), records)
			clear(records)
			if name == "afterwards" {
				close(returned)
			}
			sending.Wait()
			for _, r := range want {
				if !bytes.Contains(sent, r.Body) {
					t.Fatalf("sent %q; want %q in it", sent, r.Body)
				}
			}
		})
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// roundTripper is a transport without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func testPathPrefix(t *testing.T, s Subject) {
	paths := make(chan string, 1)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.EscapedPath()
		s.Accept(w, r)
	})
	s.call(t, s.start(t, url))
	bare := <-paths
	for _, prefix := range []string{"/", "/gate", "/gate/", "/gate/way//", "/a%2Fb/", "/a%20b"} {
		a := s.call(t, s.start(t, url+prefix))
		if got := <-paths; got != strings.TrimRight(prefix, "/")+bare {
			t.Errorf("base %q: path %q; want the prefix before %q", prefix, got, bare)
		}
		if a.Result != providers.OK {
			t.Errorf("base %q: %+v", prefix, a)
		}
	}
}
