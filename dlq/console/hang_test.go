package console_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq/console"
)

// says opens a connection and sends a request's beginning.
func says(t *testing.T, c *console.Console, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(c.URL(), "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Who announces what no form is, and sends nothing of it, is answered and cut
// off.
func TestNobodyIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, request := range map[string]string{
		"a page":      "GET /login HTTP/1.1\nHost: localhost\nContent-Length: 1000\n\n",
		"a form":      "GET /login HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 1000\n\n",
		"text":        "POST /login HTTP/1.1\nHost: localhost\nContent-Type: text/plain\nContent-Length: 1000\n\n",
		"no type":     "POST /login HTTP/1.1\nHost: localhost\nContent-Length: 1000\n\n",
		"a multipart": "POST /login HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=b\nContent-Length: 1000\n\n",
		"chunks":      "POST /login HTTP/1.1\nHost: localhost\nContent-Type: text/plain\nTransfer-Encoding: chunked\n\n",
		"more chunks": "GET /login HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nabcde\n",
		"a method":    "PUT /login HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 1000\n\n",
		"an order":    "POST /jobs HTTP/1.1\nHost: localhost\nContent-Type: text/plain\nContent-Length: 1000\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := bufio.NewReader(says(t, w.console, request))
			resp, err := http.ReadResponse(answer, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusUnsupportedMediaType || !resp.Close {
				t.Errorf("%d, %v", resp.StatusCode, resp.Header)
			}
			if _, err := io.Copy(io.Discard, answer); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the line stays open")
			}
		})
	}
}

// another starts a second console of the world; change may alter its limits.
func (w *world) another(change func(*console.Console)) *console.Console {
	w.T.Helper()
	settings := w.console.Settings
	settings.Addr = "127.0.0.1:0"
	c, err := console.New(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	change(c)
	if err := c.Start(); err != nil {
		w.T.Fatal(err)
	}
	return c
}

const halfAForm = "POST /login HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 1000\n\nname="

// A form that stops half way is not waited for, either.
func TestHalfAForm(t *testing.T) {
	t.Parallel()
	c := newWorld(t).another((*console.Console).Hasty)
	answer, err := io.ReadAll(says(t, c, halfAForm))
	if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("%v\n%s", err, answer)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// A console ends though somebody is on the line who neither sends nor reads.
func TestStopDespiteWhoHangs(t *testing.T) {
	t.Parallel()
	c := newWorld(t).another((*console.Console).Impatient)
	var lines []net.Conn
	for _, text := range []string{halfAForm, "", "GET / HT", "GET /login HTTP/1.1\nHost: localhost\n\n"} {
		lines = append(lines, says(t, c, text))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	for _, line := range lines {
		if _, err := io.Copy(io.Discard, line); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a line stays open")
		}
	}
}
