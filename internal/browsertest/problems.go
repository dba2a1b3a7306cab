package browsertest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// Problems is everything that the browser has complained about since the tab
// was opened, in order, one line each:
//
//	console: TEXT            a call of console.error, or a failed console.assert
//	uncaught: TEXT           an exception, or a promise's, that nobody caught
//	security: TEXT           a breach of the Content-Security-Policy, among others
//	LEVEL-OF-LOG: TEXT       any other error in the browser's log
//	status 404: GET /path    an answer with a status of 400 or more
//	failed: GET /path: TEXT  a request without an answer; not those that the page gave up
//	dialog: TEXT             alert, confirm or prompt, which were answered with no
//
// Those that Expect announced are among them.
func (tab *Tab) Problems() []string {
	tab.t.Helper()
	// What the page told before it answers this has arrived then.
	evaluate[int](tab, "problems", "0")
	return tab.reports.list()
}

// expectation is a part of a problem's line.
type expectation string

// Expect announces problems: those with the text in their line do not fail the
// test at its end, but their absence does. "status 403", for example.
func (tab *Tab) Expect(text string) {
	tab.expected = append(tab.expected, expectation(text))
}

func (tab *Tab) checkProblems() {
	tab.t.Helper()
	unexpected, missing := compare(tab.reports.list(), tab.expected)
	for _, problem := range unexpected {
		tab.t.Errorf("the browser reports: %s", problem)
	}
	for _, text := range missing {
		tab.t.Errorf("the browser did not report %q", text)
	}
}

func compare(problems []string, expected []expectation) (unexpected []string, missing []expectation) {
	for _, problem := range problems {
		if !slices.ContainsFunc(expected, func(e expectation) bool { return strings.Contains(problem, string(e)) }) {
			unexpected = append(unexpected, problem)
		}
	}
	for _, e := range expected {
		if !slices.ContainsFunc(problems, func(problem string) bool { return strings.Contains(problem, string(e)) }) {
			missing = append(missing, e)
		}
	}
	return unexpected, missing
}

// reports collects what the browser says of a tab.
type reports struct {
	mu       sync.Mutex
	problems []string
	requests map[network.RequestID]string // method and path
}

func (r *reports) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// listen takes the tab's events in their order. It must not wait.
func (r *reports) listen(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if request, ok := event.(*network.EventRequestWillBeSent); ok {
		if r.requests == nil {
			r.requests = map[network.RequestID]string{}
		}
		r.requests[request.RequestID] = request.Request.Method + " " + path(request.Request.URL)
		return
	}
	if line := r.read(event); line != "" {
		r.problems = append(r.problems, line)
	}
}

// read is the line of a problem, "" for what is none.
func (r *reports) read(event any) string {
	switch event := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeAssert {
			return "console: " + arguments(event.Args)
		}
	case *runtime.EventExceptionThrown:
		details := event.ExceptionDetails
		text := details.Text
		if details.Exception != nil {
			text += " " + arguments([]*runtime.RemoteObject{details.Exception})
		}
		return fmt.Sprintf("uncaught: %s (%s:%d)", text, path(details.URL), details.LineNumber+1)
	case *log.EventEntryAdded:
		entry := event.Entry
		// The network's are told by its own events, with what was asked.
		if entry.Level == log.EntryLevelError && entry.Source != log.EntrySourceNetwork || entry.Source == log.EntrySourceSecurity {
			return fmt.Sprintf("%s: %s", entry.Source, entry.Text)
		}
	case *network.EventResponseReceived:
		if event.Response.Status >= 400 {
			return fmt.Sprintf("status %d: %s", event.Response.Status, r.requests[event.RequestID])
		}
	case *network.EventLoadingFailed:
		if !event.Canceled {
			return fmt.Sprintf("failed: %s: %s %s", r.requests[event.RequestID], event.ErrorText, event.BlockedReason)
		}
	case *page.EventJavascriptDialogOpening:
		if event.Type != page.DialogTypeBeforeunload {
			return "dialog: " + event.Message
		}
	}
	return ""
}

func arguments(list []*runtime.RemoteObject) string {
	var texts []string
	for _, value := range list {
		switch {
		case value.Description != "":
			texts = append(texts, value.Description)
		default:
			texts = append(texts, strings.Trim(string(value.Value), `"`))
		}
	}
	return strings.Join(texts, " ")
}

// path is a URL less where it is served: a test's address is another each
// time.
func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	return u.RequestURI()
}
