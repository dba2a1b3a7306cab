// Package courier puts device tokens to Courier, one a call.
//
// It knows Courier's requests and answers; it refuses to know how many calls
// are open at a time and what becomes of a refused token. It starts no
// goroutine: those of its connections are net/http's, and Client.Close ends
// the idle ones.
//
// https://www.courier.com/docs/reference/token-management/put-token
package courier

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/call"
)

// DefaultRegion is where a workspace lives that names no region.
const DefaultRegion = "us"

// defaultConcurrent are the connections kept when MaxConcurrent does not say.
const defaultConcurrent = 64

// Settings are what New needs; zero values mean the stated default.
type Settings struct {
	APIKey        string            // required
	Region        string            // one of Regions; us
	BaseURL       string            // instead of the region's; may have a path
	BodyToken     bool              // send the token in the body too, as Courier suggests for special characters
	Timeout       time.Duration     // of one call; 10 s
	MaxRetryAfter time.Duration     // the longest pause an answer can ask for; 5 min
	MaxConcurrent int               // calls to keep a connection for; 64
	Transport     http.RoundTripper // instead of one of its own; must not send a request twice
}

// Client is Courier. It is safe for concurrent use.
type Client struct {
	http      *call.Client
	base      *url.URL
	bodyToken bool
}

var _ providers.Provider = (*Client)(nil)

// Regions lists the regions, sorted.
func Regions() []string { return []string{"eu", "us"} }

// BaseURL is where a region is served; no region is DefaultRegion.
func BaseURL(region string) (string, error) {
	switch region {
	case "", DefaultRegion:
		return "https://api.courier.com", nil
	case "eu":
		return "https://api.eu.courier.com", nil
	}
	return "", fmt.Errorf("%q is no region of Courier; want one of %s", region, strings.Join(Regions(), ", "))
}

// New checks the settings and makes a client; its error names the field.
func New(s Settings) (*Client, error) {
	fail := func(field string, err error) (*Client, error) {
		return nil, fmt.Errorf("courier: %s: %w", field, err)
	}
	if err := call.Secret(s.APIKey); err != nil {
		return fail("APIKey", err)
	}
	region, err := BaseURL(s.Region)
	if err != nil {
		return fail("Region", err)
	}
	if s.BaseURL == "" {
		s.BaseURL = region
	}
	base, err := call.Base(s.BaseURL)
	if err != nil {
		return fail("BaseURL", err)
	}
	if s.Timeout, err = call.Within(s.Timeout, call.DefaultTimeout); err != nil {
		return fail("Timeout", err)
	}
	if s.MaxRetryAfter, err = call.Within(s.MaxRetryAfter, call.DefaultMaxRetryAfter); err != nil {
		return fail("MaxRetryAfter", err)
	}
	if s.MaxConcurrent == 0 {
		s.MaxConcurrent = defaultConcurrent
	}
	if s.MaxConcurrent < 1 {
		return fail("MaxConcurrent", fmt.Errorf("%d; 1 or more is allowed", s.MaxConcurrent))
	}
	return &Client{
		base:      base,
		bodyToken: s.BodyToken,
		http: call.New(call.Settings{
			Provider: "Courier",
			Secrets:  []string{s.APIKey},
			Method:   http.MethodPut,
			Header: http.Header{
				"Authorization": {"Bearer " + s.APIKey},
				"Accept":        {"application/json"},
				"Content-Type":  {"application/json"},
				"User-Agent":    {"tokenrelay"},
			},
			CheckAccess:   "check COURIER_API_KEY and COURIER_REGION",
			CheckURL:      "check COURIER_BASE_URL and COURIER_REGION",
			Timeout:       s.Timeout,
			MaxRetryAfter: s.MaxRetryAfter,
			Connections:   s.MaxConcurrent,
			Transport:     s.Transport,
		}),
	}, nil
}

// Name is event.Courier.
func (c *Client) Name() string { return event.Courier }

// MaxRecords is 1: Courier's bulk request does not say which token failed.
func (c *Client) MaxRecords() int { return 1 }

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Call puts the one record's token.
//
// Any 2xx is an acceptance, whatever the body: Courier documents 204 without
// one, and its own SDKs take 200 and 202 too.
func (c *Client) Call(ctx context.Context, records []providers.Record) providers.Answer {
	if len(records) != 1 {
		return c.http.Misuse(len(records), 1)
	}
	reply := c.http.Do(ctx, call.Below(c.base, records[0].Path), records)
	defer c.http.Free(&reply)

	if reply.Status >= 200 && reply.Status <= 299 {
		return providers.Answer{Result: providers.OK, Status: reply.Status}
	}
	e := readError(reply.Body)
	answer := c.http.Judge(&reply, e.words(), records)
	if answer.Result == providers.Refused && e.isCouriers() {
		answer.Hint = ""
		answer.Refusals = []providers.Refusal{{
			Code:   answer.Code,
			Reason: answer.Reason,
			Again:  again(reply.Status),
		}}
	}
	return answer
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
