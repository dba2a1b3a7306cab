package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// Problems is everything that the browser has complained about since the tab
// was opened, in order, one line each:
//
//	console: TEXT            a call of console.error, or a failed console.assert
//	uncaught: TEXT (/PATH:N) an exception, or a promise's, that nobody caught
//	security: TEXT           a breach of the Content-Security-Policy, among others
//	SOURCE: TEXT             any other error in the browser's log
//	status 404: GET /path    an answer with a status of 400 or more
//	failed: GET /path: TEXT  a request without an answer; not those that the page gave up
//	dialog: TEXT             alert, confirm or prompt, which were answered with no
//	crashed                  the page's process is gone
//
// Those that Expect announced are among them. Requests for /favicon.ico are
// not, since the browser makes them when it likes. What a request comes to
// arrives when it does: who waits for a certain one uses Expect.
func (tab *Tab) Problems() []string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	tab.hear(ctx)
	return tab.reports.list()
}

// expectation is a part of a problem's line.
type expectation string

// Expect announces problems: those with the text in their line do not fail the
// test at its end, but their absence does. "status 403", for example.
func (tab *Tab) Expect(text string) {
	tab.expected = append(tab.expected, expectation(text))
}

// checkProblems is the tab's end. It waits for what is still expected.
func (tab *Tab) checkProblems() {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, min(tab.Patience, lastPatience))
	defer cancel()
	tab.hear(ctx)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	unexpected, missing := compare(tab.reports.list(), tab.expected)
	for len(missing) > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		unexpected, missing = compare(tab.reports.list(), tab.expected)
	}
	for _, problem := range unexpected {
		tab.t.Errorf("the browser reports: %s", problem)
	}
	for _, text := range missing {
		tab.t.Errorf("the browser did not report %q", text)
	}
}

// The longest wait at a test's end for a problem that it expects.
const lastPatience = 5 * time.Second

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
		text := strings.TrimPrefix(details.Text, "Uncaught ")
		if details.Exception != nil {
			text = strings.TrimPrefix(text, "Uncaught") + " " + arguments([]*runtime.RemoteObject{details.Exception})
		}
		return fmt.Sprintf("uncaught: %s (%s:%d)", strings.TrimSpace(text), path(details.URL), details.LineNumber+1)
	case *log.EventEntryAdded:
		entry := event.Entry
		// The network's are told by its own events, with what was asked.
		if entry.Level == log.EntryLevelError && entry.Source != log.EntrySourceNetwork || entry.Source == log.EntrySourceSecurity {
			// What follows the first sentence is how to allow it.
			text, _, _ := strings.Cut(entry.Text, ". ")
			return fmt.Sprintf("%s: %s", entry.Source, text)
		}
	case *network.EventResponseReceived:
		if event.Response.Status >= 400 && path(event.Response.URL) != favicon {
			return fmt.Sprintf("status %d: %s", event.Response.Status, r.requests[event.RequestID])
		}
	case *network.EventLoadingFailed:
		request := r.requests[event.RequestID]
		if !event.Canceled && !strings.HasSuffix(request, " "+favicon) {
			return strings.TrimSpace(fmt.Sprintf("failed: %s: %s %s", request, event.ErrorText, event.BlockedReason))
		}
	case *page.EventJavascriptDialogOpening:
		if event.Type != page.DialogTypeBeforeunload {
			return "dialog: " + event.Message
		}
	case *audits.EventIssueAdded:
		return silent(event.Issue.Details.ContentSecurityPolicyIssueDetails)
	case *inspector.EventTargetCrashed:
		return "crashed"
	}
	return ""
}

// silent is a breach of the Content-Security-Policy of which the log has no
// entry: eval throws, and the page may catch that.
func silent(breach *audits.ContentSecurityPolicyIssueDetails) string {
	if breach == nil {
		return ""
	}
	switch breach.ContentSecurityPolicyViolationType {
	case audits.ContentSecurityPolicyViolationTypeKInlineViolation, audits.ContentSecurityPolicyViolationTypeKURLViolation:
		return ""
	default:
		return fmt.Sprintf("security: %s of %s", breach.ContentSecurityPolicyViolationType, breach.ViolatedDirective)
	}
}

const favicon = "/favicon.ico"

// arguments are values as the console shows them, less the stacks of errors.
func arguments(list []*runtime.RemoteObject) string {
	texts := make([]string, len(list))
	for i, value := range list {
		text := value.Description
		if text == "" && json.Unmarshal(value.Value, &text) != nil {
			text = string(value.Value)
		}
		texts[i], _, _ = strings.Cut(text, "\n")
	}
	return strings.Join(texts, " ")
}

// path is a URL less where it is served: a test's address is another each
// time.
func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw[:min(len(raw), 80)] // a picture may be all in its URL
	}
	return u.RequestURI()
}
