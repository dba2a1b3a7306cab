// Package clevertap uploads device tokens to CleverTap, up to a hundred a
// call, and reads from the answer which of them were not taken.
//
// It knows CleverTap's requests and answers; it refuses to know how many calls
// are open at a time and what becomes of a refused record. It starts no
// goroutine: those of its connections are net/http's, and Client.Close ends
// the idle ones.
//
// https://developer.clevertap.com/docs/upload-device-tokens-api
package clevertap

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/call"
)

// MaxRecords is how many device tokens CleverTap takes in one call.
const MaxRecords = 100

// maxConnections are the calls CleverTap allows at a time in its most generous
// limit, and one for a check.
//
// https://developer.clevertap.com/docs/api-request-limit
const maxConnections = 16

// writeBuffer holds the usual hundred records, so that they go out in one
// write.
const writeBuffer = 32 << 10

// Settings are what New needs; zero values mean the stated default.
type Settings struct {
	AccountID     string            // required
	Passcode      string            // required
	Region        string            // one of Regions; eu
	BaseURL       string            // instead of the region's; may have a path
	Timeout       time.Duration     // of one call; 10 s
	MaxRetryAfter time.Duration     // the longest pause an answer can ask for; 5 min
	MaxRecords    int               // in one call; 100, which is also the most
	Transport     http.RoundTripper // instead of one of its own; must not send a request twice
}

// Client is CleverTap. It is safe for concurrent use.
type Client struct {
	http       *call.Client
	upload     *url.URL
	dryRun     *url.URL
	maxRecords int
	accountID  string
}

var _ providers.Provider = (*Client)(nil)

// New checks the settings and makes a client; its error names the field.
func New(s Settings) (*Client, error) {
	fail := func(field string, err error) (*Client, error) {
		return nil, fmt.Errorf("clevertap: %s: %w", field, err)
	}
	if err := call.Secret(s.AccountID); err != nil {
		return fail("AccountID", err)
	}
	if err := call.Secret(s.Passcode); err != nil {
		return fail("Passcode", err)
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
	if s.MaxRecords == 0 {
		s.MaxRecords = MaxRecords
	}
	if s.MaxRecords < 1 || s.MaxRecords > MaxRecords {
		return fail("MaxRecords", fmt.Errorf("%d; 1 to %d are allowed", s.MaxRecords, MaxRecords))
	}

	upload := call.Below(base, "/1/upload")
	dryRun := *upload
	dryRun.RawQuery = "dryRun=1"
	return &Client{
		upload:     upload,
		dryRun:     &dryRun,
		maxRecords: s.MaxRecords,
		accountID:  s.AccountID,
		http: call.New(call.Settings{
			Provider: "CleverTap",
			Access:   access(s.AccountID, s.Passcode),
			Method:   http.MethodPost,
			Frame:    call.Frame{Open: `{"d":[`, Between: `,`, Close: `]}`},
			Variables: call.Variables{
				Access:      "CLEVERTAP_ACCOUNT_ID, CLEVERTAP_PASSCODE and CLEVERTAP_REGION",
				Address:     "CLEVERTAP_BASE_URL and CLEVERTAP_REGION",
				Concurrency: "CLEVERTAP_MAX_CONCURRENT",
			},
			Timeout:       s.Timeout,
			MaxRetryAfter: s.MaxRetryAfter,
			Connections:   maxConnections,
			WriteBuffer:   writeBuffer,
			Transport:     s.Transport,
		}),
	}, nil
}

func access(accountID, passcode string) call.Access {
	return call.Access{
		Secrets: []string{accountID, passcode},
		Header: http.Header{ // spelt as in CleverTap's document, not as Go would
			"X-CleverTap-Account-Id": {accountID},
			"X-CleverTap-Passcode":   {passcode},
			"Content-Type":           {"application/json; charset=utf-8"},
			"User-Agent":             {"tokenrelay"},
		},
	}
}

// Renew calls with another passcode of the account from now on.
func (c *Client) Renew(passcode string) error {
	if err := call.Secret(passcode); err != nil {
		return fmt.Errorf("clevertap: Passcode: %w", err)
	}
	c.http.Renew(access(c.accountID, passcode))
	return nil
}

// Name is event.CleverTap.
func (c *Client) Name() string { return event.CleverTap }

// MaxRecords is how many records one call carries.
func (c *Client) MaxRecords() int { return c.maxRecords }

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Call uploads the records' tokens in one request.
func (c *Client) Call(ctx context.Context, records []providers.Record) providers.Answer {
	return c.call(ctx, c.upload, records)
}

// DryRun lets CleverTap validate the records without storing them.
func (c *Client) DryRun(ctx context.Context, records []providers.Record) providers.Answer {
	return c.call(ctx, c.dryRun, records)
}

// Check asks CleverTap to validate a made-up record. It returns nil when the
// answer shows that this is CleverTap and that it takes our credentials; that
// it refuses the record by name shows both. It counts as an open call.
func (c *Client) Check(ctx context.Context) error {
	record, err := c.Prepare(&event.Event{
		Token:    "tokenrelay-check",
		Type:     "fcm",
		ObjectID: "__tokenrelaycheck",
	})
	if err != nil {
		return err
	}
	a := c.DryRun(ctx, []providers.Record{record})
	switch {
	case a.Result == providers.OK, a.Result == providers.Partial:
		return nil
	case a.Hint == "":
		return fmt.Errorf("%s: %s", a.Result, a.Reason)
	}
	return fmt.Errorf("%s: %s; %s", a.Result, a.Reason, a.Hint)
}
