package providerstest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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
		"reset":             func(conn *net.TCPConn) { _ = conn.SetLinger(0) },
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
		"success":     {"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"status\":\"succ", providers.Unavailable, 200, codeOf(200)},
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
	wantHint(t, a, "_BASE_URL", "_REGION", "HTTPS_PROXY")
}

func testNoSuchHost(t *testing.T, s Subject) {
	// RFC 6761: never resolved. Without any name service it is another DNS
	// failure, which is as good here.
	a := s.call(t, s.start(t, "http://tokenrelay.invalid"))
	want(t, a, providers.Unavailable, 0, "unavailable")
	if !strings.Contains(a.Reason, "no such host") && !strings.Contains(a.Reason, "DNS failure") {
		t.Errorf("reason %q", a.Reason)
	}
	wantHint(t, a, "_BASE_URL", "_REGION")
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
