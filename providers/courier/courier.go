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
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

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
			Access:   access(s.APIKey),
			Method:   http.MethodPut,
			Variables: call.Variables{
				Access:      "COURIER_API_KEY and COURIER_REGION",
				Address:     "COURIER_BASE_URL and COURIER_REGION",
				Concurrency: "COURIER_MAX_CONCURRENT",
			},
			Timeout:       s.Timeout,
			MaxRetryAfter: s.MaxRetryAfter,
			Connections:   s.MaxConcurrent,
			Transport:     s.Transport,
		}),
	}, nil
}

func access(apiKey string) call.Access {
	return call.Access{
		Secrets: []string{apiKey},
		Header: http.Header{
			"Authorization": {"Bearer " + apiKey},
			"Accept":        {"application/json"},
			"Content-Type":  {"application/json"},
			"User-Agent":    {"tokenrelay"},
		},
	}
}

// Renew calls with another API key from now on.
func (c *Client) Renew(apiKey string) error {
	if err := call.Secret(apiKey); err != nil {
		return fmt.Errorf("courier: APIKey: %w", err)
	}
	c.http.Renew(access(apiKey))
	return nil
}

// Name is event.Courier.
func (c *Client) Name() string { return event.Courier }

// MaxRecords is 1: Courier's bulk request does not say which token failed.
func (c *Client) MaxRecords() int { return 1 }

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }
