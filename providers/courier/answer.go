package courier

import (
	"bytes"
	"context"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/call"
)

// Call puts the one record's token.
//
// A 2xx is an acceptance when its body is empty or JSON: Courier documents 204
// without one, and its own SDKs take 200 and 202 too. Any other body is that of
// a proxy or a portal, which has stored nothing.
func (c *Client) Call(ctx context.Context, records []providers.Record) providers.Answer {
	if len(records) != 1 {
		return c.http.Misuse(len(records), 1)
	}
	reply := c.http.Do(ctx, call.Below(c.base, records[0].Path), records)
	defer c.http.Free(&reply)

	if reply.Status >= 200 && reply.Status <= 299 && reply.Whole() {
		if isEmptyOrJSON(reply.Body) {
			return providers.Answer{Result: providers.OK, Status: reply.Status}
		}
		return c.http.Stranger(&reply, records)
	}
	e := readError(reply.Body)
	answer := c.http.Judge(&reply, e.words(), e.isCouriers(), records)
	if answer.Result == providers.Refused && !answer.Foreign {
		answer.Hint = ""
		answer.Refusals = []providers.Refusal{{
			Code:   answer.Code,
			Reason: answer.Reason,
			Again:  again(reply.Status),
		}}
	}
	return answer
}

func isEmptyOrJSON(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) == 0 || jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// again: a conflict with a change under way may be over at the next call.
//
// https://www.courier.com/docs/platform/sending/handling-responses-and-errors
func again(status int) int {
	if status == http.StatusConflict {
		return 2
	}
	return 0
}

// errorBody is what Courier, and not a proxy before it, says about an error:
// it always gives both.
type errorBody struct {
	Message string `json:"message"`
	Type    string `json:"type"`
}

func readError(body []byte) (e errorBody) {
	if err := json.Unmarshal(body, &e, jsontext.AllowInvalidUTF8(true)); err != nil {
		return errorBody{}
	}
	return e
}

func (e errorBody) isCouriers() bool { return e.Message != "" && e.Type != "" }

func (e errorBody) words() string {
	if e.isCouriers() {
		return e.Type + ": " + e.Message
	}
	return e.Type + e.Message
}
