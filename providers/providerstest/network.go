package providerstest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

func testTimeout(t *testing.T, s Subject) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"within the answer": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"`)
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				begin(w)
				<-over
			})
			t.Cleanup(func() { close(over) }) // before the server's own end
			p := s.New(t, Options{BaseURL: url, Timeout: 50 * time.Millisecond, MaxRetryAfter: time.Hour})
			a := s.call(t, p)
			if a.Result != providers.Unavailable || !strings.Contains(a.Reason, "time-out after 50ms") {
				t.Errorf("got %+v", a)
			}
			if requests.Load() > 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}

func testInterrupted(t *testing.T, s Subject) {
	t.Run("before the call", func(t *testing.T) {
		t.Parallel()
		url, requests := serve(t, s.Accept)
		p := s.start(t, url)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a := p.Call(ctx, s.records(t, p, 1))
		CheckAnswer(t, a, 1)
		want(t, a, providers.Unavailable, 0, "unavailable")
		if requests.Load() != 0 {
			t.Errorf("%d requests", requests.Load())
		}
	})
	t.Run("within the call", func(t *testing.T) {
		t.Parallel()
		over := make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			cancel(errors.New("a cause that is none of the provider's"))
			<-over
		})
		t.Cleanup(func() { close(over) })
		p := s.start(t, url)
		a := p.Call(ctx, s.records(t, p, 1))
		CheckAnswer(t, a, 1)
		want(t, a, providers.Unavailable, 0, "unavailable")
		if !strings.Contains(a.Reason, "interrupted") {
			t.Errorf("reason %q", a.Reason)
		}
	})
}

func testBrokenConnections(t *testing.T, s Subject) {
	for name, answer := range map[string]func(conn *net.TCPConn){
		"reset":             func(conn *net.TCPConn) { conn.SetLinger(0) },
		"closed":            func(*net.TCPConn) {},
		"garbage":           func(conn *net.TCPConn) { io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n") },
		"binary":            func(conn *net.TCPConn) { conn.Write([]byte{0x15, 3, 1, 0, 2, 2, 80, '\r', '\n', '\r', '\n'}) },
		"no status":         func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 \r\n\r\n") },
		"a word for status": func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 abc OK\r\n\r\n") },
		"half the headers":  func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le") },
		"bad length":        func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n") },
		"a megabyte of headers": func(conn *net.TCPConn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for range 1 << 10 {
				if _, err := io.WriteString(conn, "X-Filler: "+strings.Repeat("x", 1<<10)+"\r\n"); err != nil {
					return
				}
			}
			io.WriteString(conn, "Content-Length: 0\r\n\r\n")
		},
		"switching protocols": func(conn *net.TCPConn) {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		},
		"status 999": func(conn *net.TCPConn) { io.WriteString(conn, "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := serveRaw(t, func(_ int64, conn *net.TCPConn) bool {
				answer(conn)
				return false
			})
			a := s.call(t, s.start(t, url))
			if a.Result != providers.Unavailable {
				t.Errorf("got %+v", a)
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}

func testBrokenAnswers(t *testing.T, s Subject) {
	for name, c := range map[string]struct {
		answer string
		want   providers.Result
		status int
		code   string
	}{
		"success":     {"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"status\":\"succ", s.BrokenSuccess, 200, codeOf(200)},
		"refusal":     {"HTTP/1.1 400 Bad Request\r\nContent-Length: 900\r\n\r\n{\"message\":\"bro", providers.Unavailable, 400, codeOf(400)},
		"bad chunk":   {"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", providers.Unavailable, 400, codeOf(400)},
		"credentials": {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 900\r\n\r\n{", providers.Unauthorized, 401, codeOf(401)},
		"throttled":   {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 900\r\n\r\n{", providers.Throttled, 429, codeOf(429)},
		"redirect":    {"HTTP/1.1 302 Found\r\nContent-Length: 900\r\n\r\n{", providers.Misconfigured, 302, codeOf(302)},
		"error":       {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 900\r\n\r\n<", providers.Unavailable, 502, codeOf(502)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := serveRaw(t, func(_ int64, conn *net.TCPConn) bool {
				io.WriteString(conn, c.answer)
				return false
			})
			a := s.call(t, s.start(t, url))
			if c.want == providers.OK {
				c.code = ""
			}
			want(t, a, c.want, c.status, c.code)
			if requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}

// testHugeAnswers: of 100 MB only about the first is read.
func testHugeAnswers(t *testing.T, s Subject) {
	const size = 100 << 20
	for name, length := range map[string]string{"announced": "104857600", "chunked": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			done := make(chan struct{})
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				io.Copy(io.Discard, r.Body)
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				w.WriteHeader(http.StatusBadRequest)
				block := []byte(strings.Repeat(" ", 64<<10))
				for sent.Load() < size {
					n, err := w.Write(block)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			a := s.call(t, s.start(t, url))
			want(t, a, providers.Unavailable, 400, "http_400")
			<-done
			if sent.Load() > size/2 {
				t.Errorf("%d bytes of the answer were taken", sent.Load())
			}
		})
	}
}

func testClosedPort(t *testing.T, s Subject) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	a := s.call(t, s.start(t, "http://"+listener.Addr().String()))
	want(t, a, providers.Unavailable, 0, "unavailable")
	if !strings.Contains(a.Reason, "connection refused") {
		t.Errorf("reason %q", a.Reason)
	}
}

func testNoSuchHost(t *testing.T, s Subject) {
	// RFC 6761: never resolved. Without any name service it is another DNS
	// failure, which is as good here.
	a := s.call(t, s.start(t, "http://tokenrelay.invalid"))
	want(t, a, providers.Unavailable, 0, "unavailable")
	if !strings.Contains(a.Reason, "no such host") && !strings.Contains(a.Reason, "DNS failure") {
		t.Errorf("reason %q", a.Reason)
	}
}

func testNotTLS(t *testing.T, s Subject) {
	t.Run("plain HTTP", func(t *testing.T) {
		t.Parallel()
		url, requests := serve(t, s.Accept)
		a := s.call(t, s.start(t, strings.Replace(url, "http", "https", 1)))
		want(t, a, providers.Unavailable, 0, "unavailable")
		if !strings.Contains(a.Reason, "TLS") || a.Hint == "" || requests.Load() != 0 {
			t.Errorf("%d requests, got %+v", requests.Load(), a)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(s.Accept)
		server.Config.ErrorLog = discard()
		server.StartTLS()
		t.Cleanup(server.Close)
		a := s.call(t, s.start(t, server.URL))
		want(t, a, providers.Unavailable, 0, "unavailable")
		if !strings.Contains(a.Reason, "TLS") || a.Hint == "" {
			t.Errorf("got %+v", a)
		}
	})
}

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
// being sent. After Call the records are the caller's to write into, so that
// nothing may be read from them any more.
func testRecordsReturned(t *testing.T, s Subject) {
	var sending sync.WaitGroup
	returned := make(chan struct{})
	var late int
	p := s.New(t, Options{BaseURL: "http://host", Timeout: generous, MaxRetryAfter: time.Hour, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		begun := make(chan struct{})
		sending.Go(func() {
			one := make([]byte, 1)
			r.Body.Read(one)
			close(begun)
			for range 100 { // at the same time as Call returns
				r.Body.Read(one)
			}
			<-returned
			late, _ = r.Body.Read(one)
		})
		<-begun
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
	})})
	records := s.records(t, p, p.MaxRecords())
	p.Call(t.Context(), records)
	clear(records)
	close(returned)
	sending.Wait()
	if late != 0 {
		t.Error("a record was read after the call")
	}
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
