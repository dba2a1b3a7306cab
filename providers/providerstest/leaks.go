package providerstest

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// private are values of every kind that an event can hold, with everything in
// them that some encoding writes in another way.
func private(e *event.Event) []string {
	e.Token = `tok:EN/a?b#c%41"d\e[f]+g=h&i<j>'k;é` + e.Token
	e.Keys = &event.Keys{P256dh: "BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKg", Auth: "5I2Bu2oKdyy9CwL8QVF0NQ=="}
	e.Device = &event.Device{AdID: "38400000-8cf0-11bd-b23e-10b96e40000d", DeviceID: "R58M 123/456", Platform: "android"}
	e.Tracking = &event.Tracking{IP: "203.0.113.77", Lat: "52.520008", Long: "13.404954"}
	e.Properties = []byte(`{"name":"Zoë \"Zed\" O'Neil","deep":[{"phone":4915112345678,"mail":"zoe+x@example.com"}]}`)
	values := []string{
		e.Token, e.Keys.P256dh, e.Keys.Auth, e.Device.AdID, e.Device.DeviceID,
		e.Tracking.IP, e.Tracking.Lat, e.Tracking.Long,
		`Zoë "Zed" O'Neil`, "4915112345678", "zoe+x@example.com",
	}
	if e.UserID != "" {
		e.UserID = `anna/"b"+c@example.com ü&` + e.UserID
		values = append(values, e.UserID)
	}
	if e.ObjectID != "" {
		e.ObjectID = `__g<a>"b"/c d%20e ß` + e.ObjectID
		values = append(values, e.ObjectID)
	}
	return values
}

// forms are the ways in which a provider could write value.
func forms(value string) []string {
	quoted, _ := json.Marshal(value)
	inner := string(quoted[1 : len(quoted)-1])
	var percent, unicode, entities strings.Builder
	for _, b := range []byte(value) {
		fmt.Fprintf(&percent, "%%%02x", b)
	}
	for _, r := range value {
		fmt.Fprintf(&unicode, `\u%04x`, r)
		fmt.Fprintf(&entities, "&#%d;", r)
	}
	twice, _ := json.Marshal(inner)
	all := []string{
		value, strings.ToUpper(value), strings.ToLower(value),
		url.PathEscape(value), url.QueryEscape(value),
		lowerHex(url.PathEscape(value)), lowerHex(url.QueryEscape(value)),
		percent.String(), strings.ToUpper(percent.String()),
		inner, strings.ReplaceAll(inner, "/", `\/`), string(twice[1 : len(twice)-1]), unicode.String(),
		html.EscapeString(value), entities.String(), html.EscapeString(inner),
		value[:len(value)*3/4], "\x00" + strings.Join(strings.SplitAfter(value, "a"), "\x01"),
	}
	return all
}

func lowerHex(escaped string) string {
	b := []byte(escaped)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(escaped[i:i+3]))
		}
	}
	return string(b)
}

// testLeaks makes the other side echo everything it was sent, in every form
// and at every place, and looks for it in everything an answer says.
func testLeaks(t *testing.T, s Subject) {
	e := s.Event(0)
	hidden := append(private(e), s.Secrets...)
	var echoes []string
	for _, value := range hidden {
		echoes = append(echoes, value)
		for _, form := range forms(value) {
			echoes = append(echoes, "bad value "+form+" given")
		}
	}
	traces := traces(hidden)

	t.Run("by HTTP", func(t *testing.T) {
		t.Parallel()
		var answer http.HandlerFunc
		base, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
		p := s.start(t, base)
		record, err := p.Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		text := func(status int, before, after string) func(string) http.HandlerFunc {
			return func(echo string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(status)
					io.WriteString(w, before+echo+after)
				}
			}
		}
		formatted := func(status int) func(string) http.HandlerFunc {
			return func(echo string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) { s.Error(w, status, echo) }
			}
		}
		for _, place := range []func(echo string) http.HandlerFunc{
			func(echo string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) { s.Refuse(w, r, echo) }
			},
			formatted(400), formatted(401), formatted(429), formatted(500),
			text(200, "", ""), text(400, "", ""), text(502, "<html><title>", "</title>"), text(403, "<p>", "</p>"), text(404, `{"Message":"`, `"}`),
			func(echo string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Location", "//"+url.PathEscape(echo)+".example.com/"+url.PathEscape(echo))
					w.Header().Set("Retry-After", strings.Map(printable, echo))
					w.WriteHeader(302)
				}
			},
		} {
			for _, echo := range echoes {
				answer = place(echo)
				checkHidden(t, p.Call(t.Context(), []providers.Record{record}), traces)
			}
		}
	})

	t.Run("by broken HTTP", func(t *testing.T) {
		t.Parallel()
		var line string
		base, _ := serveRaw(t, func(_ int64, conn *net.TCPConn) bool {
			io.WriteString(conn, line)
			return false
		})
		p := s.start(t, base)
		record, err := p.Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{
			"%s\r\n\r\n",
			"HTTP/1.1 %s\r\n\r\n",
			"HTTP/1.1 200 OK\r\n%s\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
			"HTTP/1.1 400 Bad\r\nTransfer-Encoding: %s\r\n\r\n",
			"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		} {
			for _, echo := range echoes {
				line = fmt.Sprintf(format, echo)
				checkHidden(t, p.Call(t.Context(), []providers.Record{record}), traces)
			}
		}
	})
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// traces are what must not be found of values in anything that is said: each
// form of them, and each piece of more than a few characters.
func traces(hidden []string) []string {
	const piece = 12
	var all []string
	for _, value := range hidden {
		for _, form := range forms(value) {
			all = append(all, strings.ToLower(form))
		}
		low := strings.ToLower(value)
		for i := 0; i+piece <= len(low); i++ {
			all = append(all, low[i:i+piece])
		}
	}
	return all
}

func checkHidden(t *testing.T, a providers.Answer, traces []string) {
	t.Helper()
	CheckAnswer(t, a, 1)
	said := strings.ToLower(fmt.Sprintf("%+v", a))
	for _, trace := range traces {
		if strings.Contains(said, trace) {
			t.Fatalf("%q shows in %+v", trace, a)
		}
	}
}
