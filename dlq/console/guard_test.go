package console_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func password(s *console.Settings) { s.Password = func() string { return "the right one" } }

// Nothing but the login is shown to who is not logged in.
func TestNobodySeesAnythingWithoutLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, password)
	w.Die(dead("courier", "http_400", "refused", "ann")...)
	o := w.visitor()
	for _, path := range []string{"/", "/letters", "/letters?code=http_400", "/letters/1", "/jobs/1", "/erase", "/nothing"} {
		p := o.get(path).want(t, http.StatusSeeOther).lacks(t, "refused", "ann")
		if to := p.header.Get("Location"); !strings.HasPrefix(to, "/login") {
			t.Errorf("%s leads to %s", path, to)
		}
	}
	o.get("/live?page=overview").want(t, http.StatusUnauthorized).lacks(t, "refused")
	o.get("/login")
	for _, path := range []string{"/jobs", "/erase", "/find", "/letters/1/reveal", "/resume/courier", "/jobs/1/go", "/jobs/1/stop", "/jobs/1/file", "/logout"} {
		if p := o.post(path, "kind", "purge").want(t, http.StatusSeeOther); !strings.HasPrefix(p.header.Get("Location"), "/login?ended") {
			t.Errorf("%s leads to %s", path, p.header.Get("Location"))
		}
	}
	if w.letters() != 1 {
		t.Error("the letter is gone")
	}
	o.get("/healthz").want(t, http.StatusOK, "ok")
	// What is not found is not told to who has no business here.
	o.get("/page/style.css").want(t, http.StatusOK, "color-scheme")
	o.get("/page/overview.html").want(t, http.StatusNotFound)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, password)
	o := w.visitor()
	const ended = "Your session had ended. What you sent last was not done."
	o.get("/login?ended=1").want(t, http.StatusOK, `role="status">`+ended)
	o.get("/login?ended=%3Cb%3E1").want(t, http.StatusOK).lacks(t, ended, "<b>")
	o.get("/login?to=%2Fletters%3Fcode%3D531").want(t, http.StatusOK, "Your name", "Password").lacks(t, ended)
	o.post("/login", "name", "  ", "password", "the right one").want(t, http.StatusUnprocessableEntity, "Give your name")
	o.post("/login", "name", strings.Repeat("n", 65), "password", "the right one").want(t, http.StatusUnprocessableEntity, "Give your name")
	o.post("/login", "name", "a\x00b", "password", "the right one").want(t, http.StatusUnprocessableEntity, "Give your name")
	o.post("/login", "name", "Maja", "password", "a wrong one").want(t, http.StatusForbidden, "The password is wrong").lacks(t, "a wrong one")
	p := o.post("/login", "name", "Maja", "password", "the right one", "to", "/letters?code=531").want(t, http.StatusSeeOther)
	if p.header.Get("Location") != "/letters?code=531" {
		t.Errorf("leads to %s", p.header.Get("Location"))
	}
	if known := (&http.Response{Header: p.header}).Cookies()[0]; !strings.HasPrefix(known.Name, "tokenrelay-known-") ||
		!known.HttpOnly || known.SameSite != http.SameSiteStrictMode || known.MaxAge != 30*24*60*60 || known.Path != "/" {
		t.Errorf("the browser is not known: %v", p.header["Set-Cookie"])
	}
	o.get("/letters").want(t, http.StatusOK, "Maja")
	for _, words := range []string{"logged in", "operator=Maja", "wrong password"} {
		if !strings.Contains(w.log.String(), words) {
			t.Errorf("no %q in the log", words)
		}
	}
	if strings.Contains(w.log.String(), "right one") || strings.Contains(w.log.String(), "a wrong one") {
		t.Error("a password is in the log")
	}
	o.post("/logout").want(t, http.StatusSeeOther)
	o.get("/letters").want(t, http.StatusSeeOther)
}

// A login leads back into the console only.
func TestLoginLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, to := range []string{"https://example.com/", "//example.com/", `/\example.com`, "javascript:alert(1)", "letters", "/\t/example.com", "http:example.com"} {
		o := w.visitor()
		o.get("/login?to=" + url.QueryEscape(to))
		if p := o.post("/login", "name", "Maja", "to", to); p.header.Get("Location") != "/" {
			t.Errorf("%q leads to %q", to, p.header.Get("Location"))
		}
	}
}

// A wrong password delays the next try of its place, a right one included. A
// browser that has logged in before has a place of its own.
func TestGuessingIsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, password)
	try := func(o *visitor, password string) page {
		return o.post("/login", "name", "Eve", "password", password)
	}
	maja := w.visitor()
	maja.get("/login")
	try(maja, "the right one").want(t, http.StatusSeeOther)
	newcomer := func() *visitor {
		o := w.visitor()
		o.get("/login")
		return o
	}
	forger := newcomer()
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(w.console.URL(), "http://"), "/"))
	forger.header.Set("Cookie", "tokenrelay-known-"+port+"="+strings.Repeat("A", 43)+"."+strings.Repeat("A", 43))
	refused := func(p page, words string) {
		p.want(t, http.StatusTooManyRequests, words)
		if p.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}

	w.console.Strict(1)
	try(newcomer(), "guess").want(t, http.StatusForbidden)
	refused(try(newcomer(), "the right one"), "Too many passwords are being tried from everywhere")
	w.console.Strict(100)
	for _, o := range []*visitor{newcomer(), forger} {
		refused(try(o, "the right one"), "Too many tries from your address")
	}

	try(maja, "the right one").want(t, http.StatusSeeOther)
	maja.get("/login")
	try(maja, "guess").want(t, http.StatusForbidden)
	refused(try(maja, "the right one"), "Too many tries from your browser")
}

// Only forms of the operator's own session count.
func TestForgedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("courier", "http_400", "refused", "ann")...)
	maja, eve := w.loggedIn("Maja"), w.loggedIn("Eve")
	for name, forge := range map[string]func(){
		"no token":           func() { maja.csrf = "" },
		"another's token":    func() { maja.csrf = eve.csrf },
		"another site":       func() { maja.header.Set("Sec-Fetch-Site", "cross-site") },
		"another's address":  func() { maja.header.Set("Origin", "http://evil.example") },
		"the login's token ": func() { maja.csrf = w.visitor().get("/login").body },
	} {
		maja.header = http.Header{}
		maja.get("/letters")
		forge()
		maja.post("/jobs", "kind", "purge").want(t, http.StatusForbidden)
		forge() // the answer had a form of hers
		maja.post("/letters/1/reveal").want(t, http.StatusForbidden)
		if strings.Contains(w.log.String(), "purge") {
			t.Errorf("%s: a purge was begun", name)
		}
	}
	// And nobody is logged in by a form of another site.
	o := w.visitor()
	o.get("/login")
	token := o.csrf
	other := w.visitor()
	other.get("/login")
	other.csrf = token
	other.post("/login", "name", "Eve").want(t, http.StatusForbidden)
}

// A page of somebody else whose name leads to this machine gets nothing.
func TestHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *console.Settings) { s.Hosts = []string{"console.example.com"} })
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(w.console.URL(), "http://"), "/"))
	for host, status := range map[string]int{
		"127.0.0.1:" + port: http.StatusOK, "localhost:" + port: http.StatusOK, "localhost": http.StatusOK, "[::1]:" + port: http.StatusOK,
		"console.example.com": http.StatusOK, "CONSOLE.example.com:443": http.StatusOK, "console.example.com.": http.StatusOK,
		"evil.example": http.StatusMisdirectedRequest, "evil.example:" + port: http.StatusMisdirectedRequest, "10.0.0.1": http.StatusMisdirectedRequest,
		"console.example.com.evil.example": http.StatusMisdirectedRequest, "localhost.evil.example": http.StatusMisdirectedRequest,
	} {
		o := w.visitor()
		o.header.Set("Host", host)
		o.get("/login").want(t, status)
	}
}

// Every answer tells the browser to be strict.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.loggedIn("Maja")
	for _, path := range []string{"/", "/letters", "/erase", "/login", "/nothing", "/page/style.css", "/page/live.js"} {
		h := o.get(path).header
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, path := range []string{"/", "/letters", "/erase", "/login"} {
		p := o.get(path)
		if strings.Contains(p.body, "<script>") || strings.Contains(p.body, " style=") || strings.Contains(p.body, " onclick") {
			t.Errorf("%s has script or style of its own", path)
		}
		if p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept", path)
		}
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	cert, key := brokertest.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*console.Settings){
		"tokenrelay-session-": func(*console.Settings) {}, "__Host-tokenrelay-session-": func(s *console.Settings) { s.Certificate = func() tls.Certificate { return pair } },
	} {
		w := newWorld(t, change)
		o := w.visitor()
		o.get("/login")
		p := o.post("/login", "name", "Maja").want(t, http.StatusSeeOther)
		cookies := (&http.Response{Header: p.header}).Cookies()
		if len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, name) || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode ||
			cookies[0].Secure != strings.HasPrefix(name, "__Host-") || cookies[0].Path != "/" || len(cookies[0].Value) < 40 {
			t.Errorf("%s: %v", name, p.header["Set-Cookie"])
		}
		if secure := strings.HasPrefix(w.console.URL(), "https://"); secure != strings.HasPrefix(name, "__Host-") {
			t.Errorf("%s at %s", name, w.console.URL())
		}
		o.get("/").want(t, http.StatusOK, "Maja")
	}
}

// A session ends; what a page asks by itself does not keep it going.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *console.Settings) { s.Idle = time.Second })
	o := w.loggedIn("Maja")
	brokertest.Eventually(t, "the live page is told that nobody is logged in", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url("/live?page=job&id=none"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return o.do(r).status == http.StatusUnauthorized
	})
	o.get("/letters").want(t, http.StatusSeeOther)
}

// An address that others can reach is refused without a password.
func TestConsoleRefusesToBeOpen(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "example.com:80"} {
		if _, err := console.New(console.Settings{Addr: addr}); err == nil || !strings.Contains(err.Error(), "CONSOLE_PASSWORD") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := newWorld(t)
	c, err := console.New(console.Settings{Addr: taken.Addr().String(), JS: w.Broker.JS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err == nil || !strings.HasPrefix(err.Error(), "CONSOLE_ADDR: ") || strings.Count(err.Error(), taken.Addr().String()) != 1 {
		t.Errorf("error %v", err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
