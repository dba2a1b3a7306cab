package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

//go:embed page
var files embed.FS

// frame is what every page has around its own matter.
type frame struct {
	Title    string
	CSRF     string
	Operator string // empty: nobody is logged in
	Here     string // the entry of the navigation that this page is
	Flash    string
	Live     string        // where changes of this page are told; empty: it has none
	Silence  time.Duration // after which the console is told to be away
	Refresh  int           // seconds after which a browser without script reloads; 0: never
	Self     string        // what it reloads: not by a click
	Veiled   string        // where this page is with its personal values hidden; empty: they are
}

func (c *Console) frame(s *session, title, here string) frame {
	return frame{Title: title, CSRF: c.sign(s.id), Operator: s.operator, Here: here, Flash: s.told(), Silence: 2*c.heartbeat + c.heartbeat/3}
}

// parsePages reads the templates. They escape whatever they show.
func parsePages() (*template.Template, error) {
	pages := template.New("").Funcs(template.FuncMap{
		"int":       func(n uint64) int { return int(n) },
		"rate":      rate,
		"thousands": phrase.Thousands,
		"plural":    phrase.Plural,
		"times":     phrase.Times,
		"replays":   replays,
		"when":      phrase.When,
		"ago":       func(t time.Time) string { return phrase.Ago(t, time.Now()) },
		"in":        func(t time.Time) string { return phrase.Span(max(0, time.Until(t))) },
		"span":      phrase.Span,
		"rfc3339":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"provider":  providerName,
		"capital":   capital,
		"spans":     spans,
		"words":     strings.Fields,
		"most":      func(rows []row) []row { return rows[:min(len(rows), mostRows)] },
		"more":      func(rows []row) int { return max(0, len(rows)-mostRows) },
	})
	return pages.ParseFS(files, "page/*.html")
}

// mostRows is how many groups the page of a job shows, the largest first.
const mostRows = 100

// span is a piece of a sentence; a command is shown as such.
type span struct {
	Text    string
	Command bool
}

// spans takes the commands, which stand in back-quotes, out of a sentence.
func spans(text string) []span {
	var list []span
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			list = append(list, span{piece, i%2 == 1})
		}
	}
	return list
}

// replays says how often letters were replayed, by generation.
func replays(counts map[int]int) string {
	if len(counts) == 1 && counts[0] > 0 {
		return "never replayed"
	}
	return "replayed " + phrase.Generations(counts)
}

// rate is a figure a second, exact where it is small.
func rate(a float64) string {
	switch {
	case a > 1e9: // nobody is so fast
		return "?"
	case a > 0 && a < 9.95:
		return strconv.FormatFloat(a, 'f', 1, 64)
	}
	return phrase.Thousands(int(a + 0.5))
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// show renders a page whole before it sends a byte of it: a page that cannot
// be rendered is an error and no torso.
func (c *Console) show(w http.ResponseWriter, status int, name string, view any) {
	text, err := c.render(name, view)
	if err != nil {
		c.Log.Error("console: page", "page", name, "err", err)
		http.Error(w, "This page could not be made; the log of the console says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	//nolint:gosec // the templates escape what they show
	_, _ = w.Write(text) // who asked may be gone
}

func (c *Console) render(name string, view any) ([]byte, error) {
	var b bytes.Buffer
	err := c.pages.ExecuteTemplate(&b, name, view)
	return b.Bytes(), err
}

// errorLine is an error in one line. What the broker's client says in words of
// its own is put into plain ones; whatever was said of it stays.
func errorLine(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, cause := range []struct {
		error
		plain string
	}{
		{context.DeadlineExceeded, "the broker did not answer in time, or the NATS user lacks a right"},
		{nats.ErrTimeout, "the broker did not answer in time, or the NATS user lacks a right"},
		{jetstream.ErrStreamNotFound, "the broker has no such stream (a worker that starts makes it)"},
	} {
		if errors.Is(err, cause.error) {
			text = strings.ReplaceAll(text, cause.Error(), cause.plain)
		}
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// problemView is what problem.html shows.
type problemView struct {
	frame
	Problems []string
}

// problem answers with what is wrong, one sentence each.
func (c *Console) problem(w http.ResponseWriter, s *session, status int, problems ...string) {
	c.show(w, status, "problem", problemView{c.frame(s, http.StatusText(status), ""), problems})
}

// asset serves the style and the script.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	kinds := map[string]string{"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	name := r.PathValue("file")
	text, err := fs.ReadFile(files, "page/"+name)
	if kinds[name] == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kinds[name])
	w.Header().Set("Cache-Control", "no-cache")
	//nolint:gosec // one of three files of ours
	_, _ = w.Write(text)
}
