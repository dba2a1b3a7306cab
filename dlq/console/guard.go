package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// policy lets a page use what this server has, and nothing else: no inline
// script, no style in an attribute, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// mostForm bounds what a form may send.
const mostForm = 64 << 10

// leave is how long a refused request may go on sending, so that who sends
// much has read the answer before the line is cut.
const leave = time.Second

// byItself marks what a page without script asks for again and again, which is
// no click and keeps no session going.
const byItself = "by=itself"

// handler is every address of the console, behind what every request must pass.
func (c *Console) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", c.loginPage)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("GET /page/{file}", c.asset)

	page := func(pattern string, show func(http.ResponseWriter, *http.Request, *session)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if s := c.visitor(w, r, r.URL.RawQuery != byItself); s != nil {
				show(w, r, s)
			}
		})
	}
	page("GET /{$}", c.overviewPage)
	page("GET /letters", c.lettersPage)
	page("GET /letters/{seq}", c.letterPage)
	page("GET /letters/{seq}/reveal", c.hide)
	page("GET /jobs/{id}", c.jobPage)
	page("GET /erase", c.erasePage)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		if s := c.visitor(w, r, false); s != nil {
			c.live(w, r, s)
		}
	})

	order := func(pattern string, do func(http.ResponseWriter, *http.Request, *session)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s := c.visitor(w, r, true)
			switch {
			case s == nil:
			case !c.signed(r, s.id):
				c.problem(w, s, http.StatusForbidden, "This form is not from your session. Go back, reload the page and try again.")
			default:
				do(w, r, s)
			}
		})
	}
	order("POST /logout", c.logout)
	order("POST /find", c.find)
	order("POST /letters/{seq}/reveal", c.reveal)
	order("POST /resume/{provider}", c.resume)
	order("POST /jobs", c.newJob)
	order("POST /erase", c.newErase)
	order("POST /jobs/{id}/go", c.goJob)
	order("POST /jobs/{id}/stop", c.stopJob)
	order("POST /jobs/{id}/file", c.fileOfJob)

	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s := c.visitor(w, r, true); s != nil {
			c.problem(w, s, http.StatusNotFound, "There is no such page.")
		}
	})

	sameOrigin := http.NewCrossOriginProtection()
	guarded := sameOrigin.Handler(mux)
	all := http.NewServeMux()
	all.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	all.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if host := hostOf(r.Host); !c.knows(host) {
			http.Error(w, "The host of this address is not one of the console's. Name it in CONSOLE_HOSTS, or call the console by localhost.", http.StatusMisdirectedRequest)
			return
		}
		if hasMore(r) {
			h.Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(leave))
			http.Error(w, "Only forms are taken here, sent by POST as application/x-www-form-urlencoded.", http.StatusUnsupportedMediaType)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, mostForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "The address or the form could not be read. A form may have at most 64 KiB.", http.StatusBadRequest)
			return
		}
		// All is read: a body of which a rest came later would now be waited for
		// without an end. The limit for reading would end the contexts of answers
		// that take longer.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		guarded.ServeHTTP(w, r)
	})
	return all
}

// hasMore reports whether a request brings something that ParseForm leaves
// unread.
func hasMore(r *http.Request) bool {
	if r.ContentLength == 0 {
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method != http.MethodPost || err != nil || kind != "application/x-www-form-urlencoded"
}

// knows reports whether a browser may call the console by this host. A page
// of somebody else whose name leads here is refused.
func (c *Console) knows(host string) bool {
	own, _, _ := net.SplitHostPort(c.Addr)
	return isLoopback(host) || host != "" && strings.EqualFold(host, own) ||
		slices.ContainsFunc(c.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// hostOf is a Host header without its port and brackets.
func hostOf(header string) string {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// away answers at once while the broker cannot be asked.
func (c *Console) away(w http.ResponseWriter, s *session) bool {
	why := c.flow.Now().Away
	if why == "" && !c.JS.Conn().IsConnected() { // the watch will notice soon
		why = "the connection is lost and being made again"
	}
	if why != "" {
		c.problem(w, s, http.StatusBadGateway, "The broker does not answer, so nothing can be read or done now: "+why+".")
	}
	return why != ""
}

// cookieName has the port, for browsers share cookies over the ports of a
// host, and under TLS the prefix that makes them refuse it from anybody else.
func (c *Console) cookieName(name string) string {
	_, port, _ := net.SplitHostPort(c.listener.Addr().String())
	name = "tokenrelay-" + name + "-" + port
	if c.Certificate != nil {
		return "__Host-" + name
	}
	return name
}

func (c *Console) cookie(name, value string, seconds int) *http.Cookie {
	//nolint:gosec // without TLS a secure cookie would never come back
	return &http.Cookie{Name: c.cookieName(name), Value: value, Path: "/", MaxAge: seconds,
		Secure: c.Certificate != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

const (
	sessionCookie = "session"
	visitCookie   = "visit" // of who is about to log in
)

// visitor is the session of a request. Without one the request is answered
// with the way to the login.
func (c *Console) visitor(w http.ResponseWriter, r *http.Request, click bool) *session {
	if cookie, err := r.Cookie(c.cookieName(sessionCookie)); err == nil {
		if s := c.sessions.find(cookie.Value, click); s != nil {
			return s
		}
	}
	if r.Method != http.MethodGet {
		http.Redirect(w, r, "/login?ended=1", http.StatusSeeOther)
		return nil
	}
	if r.URL.Path == "/live" {
		http.Error(w, "logged out", http.StatusUnauthorized)
		return nil
	}
	to := "/login"
	if r.URL.Path != "/" {
		to += "?to=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// sign is the token that a session's forms carry.
func (c *Console) sign(id string) string {
	sum := hmac.New(sha256.New, c.csrfKey)
	sum.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// signed reports whether a form is the session's own.
func (c *Console) signed(r *http.Request, id string) bool {
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(c.sign(id))) == 1
}

// insider keeps a redirect after the login within the console.
func insider(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, "\\") {
		return "/"
	}
	return to
}
