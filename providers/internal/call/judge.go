package call

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/scrub"
)

// The codes a record can die of that are no provider's own.
const (
	CodeAmbiguous   = "ambiguous_response"
	CodeUnavailable = "unavailable"
)

// Judge gives the answer that follows from the status alone, for every reply
// that the provider itself does not judge by its body. text is what the body
// says in the provider's own format, empty when it has none; own tells whether
// it is in that format.
func (c *Client) Judge(r *Reply, text string, own bool, records []providers.Record) providers.Answer {
	a := providers.Answer{
		Status:     r.Status,
		Code:       Code(r.Status),
		RetryAfter: c.retryAfter(r.Header),
	}
	var why trouble
	switch status := r.Status; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		a.Result, why = providers.Unauthorized, access
	case status == http.StatusTooManyRequests:
		a.Result, why = providers.Throttled, crowded
	case status >= 300 && status < 400:
		a.Result, why = providers.Misconfigured, elsewhere
		text = target(r.Header)
	case status == http.StatusRequestTimeout, status >= 500, !r.Whole():
		a.Result, why = providers.Unavailable, theirs
	default:
		a.Result, why = providers.Refused, elsewhere
		a.Foreign = !own
	}

	head := c.Head(r.Status)
	switch {
	case a.Result == providers.Unavailable && !r.Whole():
		var what string
		what, text, why = c.describe(r.fault)
		head += ": " + what
	case text == "":
		if text = page(r.Body); text == "" {
			text = http.StatusText(r.Status)
		}
	}
	a.Reason = c.Scrubber(records).Line(head, text)
	a.Hint = c.hint(why)
	return a
}

// Ambiguous is the answer to a reply that can be neither trusted nor blamed on
// a record; problem is ours and holds nothing of the reply.
func (c *Client) Ambiguous(r *Reply, problem string, records []providers.Record) providers.Answer {
	return providers.Answer{
		Result: providers.Ambiguous,
		Status: r.Status,
		Code:   CodeAmbiguous,
		Reason: c.Scrubber(records).Line(c.Head(r.Status)+": "+problem, page(r.Body)),
		Hint:   c.hint(elsewhere),
	}
}

// Stranger is the answer to a reply that cannot be the provider's.
func (c *Client) Stranger(r *Reply, records []providers.Record) providers.Answer {
	return providers.Answer{
		Result: providers.Misconfigured,
		Status: r.Status,
		Code:   CodeUnavailable,
		Reason: c.Scrubber(records).Line(c.Head(r.Status)+": not "+c.settings.Provider+"'s answer", page(r.Body)),
		Hint:   c.hint(elsewhere),
	}
}

func (c *Client) hint(t trouble) string {
	return c.settings.Variables.hint(t, c.settings.Provider)
}

// Misuse is the answer to a call that was never made.
func (c *Client) Misuse(records, limit int) providers.Answer {
	return providers.Answer{
		Result: providers.Misconfigured,
		Code:   CodeUnavailable,
		Reason: fmt.Sprintf("%s: a call of %d records; 1 to %d are allowed", c.settings.Provider, records, limit),
	}
}

// Scrubber hides the credentials and the values of records.
func (c *Client) Scrubber(records []providers.Record) *scrub.Scrubber {
	return scrub.New(c.pass.Load().secrets, records)
}

// Code is what a record dies of when a status is all there is to say.
func Code(status int) string {
	if status < 300 {
		return CodeUnavailable
	}
	return "http_" + strconv.Itoa(status)
}

// Head is how a reason begins.
func (c *Client) Head(status int) string {
	if status == 0 {
		return c.settings.Provider
	}
	return c.settings.Provider + ": HTTP " + strconv.Itoa(status)
}

// target is where a redirect leads, without the path: that may hold a token.
func target(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil || u.Host == "" {
		return "a redirect, not followed"
	}
	return "a redirect to " + u.Scheme + "://" + u.Host + ", not followed"
}

// maxPage is how much of a text is looked at.
const maxPage = 1 << 10

// page is what can be said about a body in no known format: a proxy's page by
// its title, a text by its beginning, other bytes by their number. JSON may
// echo a record in ways that redaction does not know, so none of it is shown.
func page(body []byte) string {
	if other := noText(body); other != "" {
		return other
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] == '{' || body[0] == '[' {
		return ""
	}
	if body[0] != '<' {
		return string(body[:min(len(body), maxPage)])
	}
	low := bytes.ToLower(body[:min(len(body), 4<<10)])
	if from := bytes.Index(low, []byte("<title>")); from >= 0 {
		from += len("<title>")
		if n := bytes.Index(low[from:], []byte("</title>")); n > 0 && from+n <= len(body) {
			return "an HTML page titled \"" + string(bytes.TrimSpace(body[from:from+n])) + "\""
		}
	}
	return "an HTML page"
}
