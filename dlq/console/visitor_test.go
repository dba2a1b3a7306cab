package console_test

import (
	"crypto/tls"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// visitor is a browser as far as HTTP goes: it keeps cookies and sends the
// token of the last form that it saw. It does not follow redirects by itself.
type visitor struct {
	t      testing.TB
	w      *world
	client *http.Client
	csrf   string
	header http.Header // sent with every request
}

// page is an answer.
type page struct {
	status int
	header http.Header
	body   string
}

func (w *world) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{t: w.T, w: w, header: http.Header{}, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}
}

// loggedIn is a visitor who has given a name.
func (w *world) loggedIn(name string) *visitor {
	w.T.Helper()
	o := w.visitor()
	o.get("/login")
	if p := o.post("/login", "name", name); p.status != http.StatusSeeOther {
		w.T.Fatalf("login: %d %s", p.status, p.body)
	}
	o.get("/")
	return o
}

func (o *visitor) do(r *http.Request) page {
	o.t.Helper()
	for name, values := range o.header {
		r.Header[name] = values
		if name == "Host" {
			r.Host = values[0]
		}
	}
	resp, err := o.client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	p := page{resp.StatusCode, resp.Header, string(body)}
	if found := regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindStringSubmatch(p.body); found != nil {
		o.csrf = html.UnescapeString(found[1])
	}
	return p
}

func (o *visitor) get(path string) page {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.w.url(path), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.do(r)
}

// post sends a form: names and values.
func (o *visitor) post(path string, fields ...string) page {
	o.t.Helper()
	form := url.Values{"csrf": {o.csrf}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.w.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return o.do(r)
}

// want checks an answer's status and words.
func (p page) want(t testing.TB, status int, words ...string) page {
	t.Helper()
	if p.status != status {
		t.Errorf("status %d, want %d\n%s", p.status, status, p.body)
	}
	for _, word := range words {
		if !strings.Contains(html.UnescapeString(p.body), word) {
			t.Errorf("no %q in\n%s", word, p.body)
		}
	}
	return p
}

// lacks checks that words are not in an answer.
func (p page) lacks(t testing.TB, words ...string) page {
	t.Helper()
	for _, word := range words {
		if strings.Contains(html.UnescapeString(p.body), word) {
			t.Errorf("%q in\n%s", word, p.body)
		}
	}
	return p
}

// order begins a job and returns its address once it asks or has ended.
func (o *visitor) order(kind string, fields ...string) string {
	o.t.Helper()
	p := o.post("/jobs", append([]string{"kind", kind}, fields...)...)
	if p.status != http.StatusSeeOther {
		o.t.Fatalf("order: %d %s", p.status, p.body)
	}
	at := p.header.Get("Location")
	o.until(at, `data-state="(asking|done|failed|withdrawn)"`)
	return at
}

// until reads a page until it has something.
func (o *visitor) until(path, pattern string) page {
	o.t.Helper()
	var p page
	brokertest.Eventually(o.t, path+" has "+pattern, func() bool {
		p = o.get(path)
		return regexp.MustCompile(pattern).MatchString(p.body)
	})
	return p
}
