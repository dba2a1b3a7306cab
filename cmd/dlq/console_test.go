package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// served is a console that runs, and a browser at it.
type served struct {
	*world
	address string
	browser *http.Client
	log     *journal
	hangups chan os.Signal
	stop    func() int // its exit code
}

// journal is a log that is read while it is written.
type journal struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.String()
}

func (w *world) console(args ...string) *served {
	w.T.Helper()
	s := &served{world: w, log: &journal{}, hangups: make(chan os.Signal)}
	ctx, stop := context.WithCancel(w.T.Context())
	out, toOut := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- process{s.hangups}.run(ctx, append([]string{"console", "--console-addr", "127.0.0.1:0"}, args...), w.Environment(), strings.NewReader(""), toOut, s.log)
	}()
	s.stop = func() int { stop(); return <-code }
	first, err := bufio.NewReader(out).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(first), "console: ")
	if err != nil || !found {
		w.T.Fatalf("%q %v", first, err)
	}
	s.address = address
	jar, _ := cookiejar.New(nil)
	s.browser = &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return s
}

// get is a page, and the certificate that it came with.
func (s *served) get(path string) (string, *x509.Certificate) {
	s.T.Helper()
	page, err := s.browser.Get(s.address + path)
	if err != nil {
		s.T.Fatal(err)
	}
	defer page.Body.Close()
	text, _ := io.ReadAll(page.Body)
	if page.TLS == nil {
		return string(text), nil
	}
	return string(text), page.TLS.PeerCertificates[0]
}

// login is the page that it leads to.
func (s *served) login(password string) string {
	s.T.Helper()
	form, _ := s.get("login")
	_, rest, _ := strings.Cut(form, `name="csrf" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	page, err := s.browser.PostForm(s.address+"login", url.Values{"csrf": {token}, "name": {"Maja"}, "password": {password}})
	if err != nil {
		s.T.Fatal(err)
	}
	defer page.Body.Close()
	text, _ := io.ReadAll(page.Body)
	return string(text)
}

// The console is served until it is told to stop, and says where.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "LOG_LEVEL=info", "LOG_FORMAT=json")
	w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "ann"))})
	s := w.console()
	if text := s.login(""); !strings.Contains(text, "1 letter in 1 group") {
		t.Errorf("%s", text)
	}
	if got := s.stop(); got != 0 {
		t.Errorf("exit %d\n%s", got, s.log)
	}
	if log := s.log.String(); !strings.Contains(log, `"msg":"console: logged in","operator":"Maja"`) || strings.Contains(log, "ann") {
		t.Errorf("log:\n%s", log)
	}
}

// A new password and a new certificate are in use without a restart, and whoever
// knew the former password has to log in again.
func TestConsoleReadsItsFilesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := func() (cert, key string) {
		t.Helper()
		certFile, keyFile := brokertest.Certificate(t)
		for from, to := range map[string]*string{certFile: &cert, keyFile: &key} {
			content, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			*to = string(content)
		}
		return cert, key
	}
	cert, key := certificate()
	w := newWorld(t, "LOG_LEVEL=info", "LOG_FORMAT=json", "CONSOLE_PASSWORD_FILE="+file("password", "hunter1\n"),
		"CONSOLE_TLS_CERT="+file("cert", cert), "CONSOLE_TLS_KEY="+file("key", key))
	s := w.console()
	if text := s.login("hunter1"); !strings.Contains(text, "Maja") {
		t.Fatalf("not logged in:\n%s", text)
	}
	_, before := s.get("")

	next, nextKey := certificate()
	file("cert", next) // and not the key yet
	s.hangups <- os.Interrupt
	brokertest.Eventually(t, "it says that the pair is wrong", func() bool {
		return strings.Contains(s.log.String(), "must be a certificate in PEM that CONSOLE_TLS_KEY belongs to")
	})
	file("key", nextKey)
	file("password", "hunter2\n")
	s.hangups <- os.Interrupt
	brokertest.Eventually(t, "the session is over", func() bool {
		text, _ := s.get("")
		return strings.Contains(text, "Log in")
	})
	if text := s.login("hunter1"); !strings.Contains(text, "The password is wrong") {
		t.Errorf("the former password:\n%s", text)
	}
	if text := s.login("hunter2"); !strings.Contains(text, "Maja") {
		t.Errorf("the new password:\n%s", text)
	}
	if _, after := s.get(""); after.Equal(before) {
		t.Error("the former certificate is still in use")
	}
	if got := s.stop(); got != 0 || strings.Contains(s.log.String(), "hunter") {
		t.Errorf("exit %d\n%s", got, s.log)
	}
}

func TestConsoleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dlq("", "console", "--console-addr", ":0").want(t, 2, "dlq: CONSOLE_PASSWORD is not set, must be given (or CONSOLE_PASSWORD_FILE) when CONSOLE_ADDR (:0) is not loopback")
	w.dlq("", "console", "--console-addr", "here").want(t, 2, `CONSOLE_ADDR (--console-addr) is "here", must be host:port`)
	cert, _ := brokertest.Certificate(t)
	w.dlq("", "console", "--console-tls-cert", cert).want(t, 2, "CONSOLE_TLS_KEY is not set")
	elsewhere := w.dlq("", "console", "--console-addr", "192.0.2.1:80", "--console-password", "hunter2")
	elsewhere.want(t, 1, "dlq: CONSOLE_ADDR: 192.0.2.1:80: ")
	elsewhere.lacks(t, "hunter2")
	w.Set("NATS_URL=nats://127.0.0.1:1")
	w.dlq("", "console").want(t, 1, "dlq: NATS_URL: ")
	if err := w.Broker.JS.DeleteStream(t.Context(), "TOKENS_DLQ"); err != nil {
		t.Fatal(err)
	}
	w.Set("NATS_URL=" + w.Broker.URL())
	w.dlq("", "console").want(t, 1, "dead-letter stream TOKENS_DLQ is missing")
}
