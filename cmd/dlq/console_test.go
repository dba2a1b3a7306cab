package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// The console is served until it is told to stop, and says where.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "LOG_LEVEL=info", "LOG_FORMAT=json")
	w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(only(event.Courier, "ann"))})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, toOut := io.Pipe()
	var log strings.Builder
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"console", "--console-addr", "127.0.0.1:0"}, w.Environment(), strings.NewReader(""), toOut, &log)
	}()
	first, err := bufio.NewReader(out).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(first), "console: ")
	if err != nil || !found {
		t.Fatalf("%q %v", first, err)
	}
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	login, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	form, _ := io.ReadAll(login.Body)
	login.Body.Close()
	_, rest, _ := strings.Cut(string(form), `name="csrf" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	page, err := browser.PostForm(address+"login", url.Values{"csrf": {token}, "name": {"Maja"}})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(page.Body)
	page.Body.Close()
	if !strings.Contains(string(text), "1 letter in 1 group") {
		t.Errorf("%s", text)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit %d\n%s", got, &log)
	}
	if !strings.Contains(log.String(), `"msg":"console: logged in","operator":"Maja"`) || strings.Contains(log.String(), "ann") {
		t.Errorf("log:\n%s", &log)
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
