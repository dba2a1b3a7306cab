package clevertap

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/scrub"
)

// codeOther stands for a code that would not make a subject.
const codeOther = "other"

// codeServerError is CleverTap's "miscellaneous server error", the only record
// code that may be another one at the next call; the others (530 to 535 for
// tokens) are final.
//
// https://developer.clevertap.com/docs/api-errors
const codeServerError = "555"

func (c *Client) call(ctx context.Context, u *url.URL, records []providers.Record) providers.Answer {
	if len(records) == 0 || len(records) > c.maxRecords {
		return c.http.Misuse(len(records), c.maxRecords)
	}
	reply := c.http.Do(ctx, u, records)
	defer c.http.Free(&reply)

	if reply.Status < 200 || reply.Status > 299 || !reply.Whole() {
		said, own := words(reply.Body)
		return c.http.Judge(&reply, said, own, records)
	}
	refused, problem := read(reply.Body, records)
	switch {
	case problem != "":
		answer := c.http.Ambiguous(&reply, problem, records)
		_, own := words(reply.Body)
		answer.Foreign = !own
		return answer
	case len(refused) == 0:
		return providers.Answer{Result: providers.OK, Status: reply.Status}
	}
	return providers.Answer{
		Result:   providers.Partial,
		Status:   reply.Status,
		Reason:   fmt.Sprintf("%s: %d of %d records refused", c.http.Head(0), len(refused), len(records)),
		Refusals: c.name(refused, records),
	}
}

// reply is CleverTap's answer to an upload. Fields whose type is not certain
// are kept as they came.
type reply struct {
	Status      string         `json:"status"`
	Processed   jsontext.Value `json:"processed"`
	Unprocessed []unprocessed  `json:"unprocessed"`
	Error       jsontext.Value `json:"error"`
}

type unprocessed struct {
	Code   jsontext.Value `json:"code"`
	Error  jsontext.Value `json:"error"`
	Record jsontext.Value `json:"record"`
}

// refusal is one record of a call that CleverTap did not take.
type refusal struct {
	index int
	unprocessed
	echo echo
}

// read finds out which records an answer refuses, by rising index. All others
// were accepted, unless there is a problem: then the answer says nothing about
// any of them.
func read(body []byte, records []providers.Record) (refused []refusal, problem string) {
	var r reply
	if err := json.Unmarshal(body, &r, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, "not the JSON of an upload's answer"
	}
	processed, err := strconv.Atoi(text(r.Processed))
	switch {
	case err != nil:
		return nil, "the answer does not count the processed records"
	case processed < 0 || len(r.Unprocessed) > len(records) || processed != len(records)-len(r.Unprocessed):
		return nil, fmt.Sprintf("the answer does not add up: %d sent, %d processed, %d unprocessed", len(records), processed, len(r.Unprocessed))
	}
	switch r.Status {
	case "success":
		if len(r.Unprocessed) > 0 {
			return nil, "success with unprocessed records"
		}
		return nil, ""
	case "partial", "fail":
		if len(r.Unprocessed) == 0 {
			return nil, r.Status + " without unprocessed records"
		}
		return match(r.Unprocessed, records)
	}
	return nil, "the answer's status is none of success, partial and fail"
}

// words is what a refusal of the whole call says. own tells whether it is
// CleverTap, and not a gateway before it, that says it: all its answers have a
// status.
func words(body []byte) (said string, own bool) {
	var r reply
	if err := json.Unmarshal(body, &r, jsontext.AllowInvalidUTF8(true)); err != nil {
		return "", false
	}
	return text(r.Error), r.Status != ""
}

// name turns refusals into the providers' vocabulary.
func (c *Client) name(refused []refusal, records []providers.Record) []providers.Refusal {
	hide := c.http.Scrubber(records)
	for i := range refused {
		hide.Add(refused[i].echo.id)
		hide.Add(refused[i].echo.objectID)
	}
	named := make([]providers.Refusal, len(refused))
	for i, r := range refused {
		named[i] = refusalOf(r, hide)
	}
	return named
}

func refusalOf(r refusal, hide *scrub.Scrubber) providers.Refusal {
	raw, message := text(r.Code), text(r.Error)
	n := providers.Refusal{Index: r.index, Code: raw}
	if !isCode(raw, hide) {
		n.Code, message = codeOther, raw+" "+message
	}
	if n.Code == codeServerError {
		n.Again = 2
	}
	n.Reason = hide.Line("CleverTap: "+n.Code, message)
	return n
}

// isCode reports whether raw can be a code: a short number, or a word that
// holds nothing of an event.
func isCode(raw string, hide *scrub.Scrubber) bool {
	if len(raw) == 0 || len(raw) > 32 {
		return false
	}
	number := true
	for _, c := range []byte(raw) {
		digit := c >= '0' && c <= '9'
		if !digit && c != '_' && (c < 'a' || c > 'z') {
			return false
		}
		number = number && digit
	}
	return number && len(raw) <= 4 || hide.Clean(raw)
}

// text is a string's content, the literal of a number or boolean, and empty
// for everything else. A number is never made a float: a token may be one.
func text(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		// The value was parsed before; invalid UTF-8 becomes U+FFFD.
		b, _ := jsontext.AppendUnquote(nil, v)
		return strings.ToValidUTF8(string(b), "\uFFFD")
	case '0', 't', 'f':
		return string(v)
	}
	return ""
}
