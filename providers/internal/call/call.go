// Package call makes one HTTP request to a provider and says how it ended, as
// far as that is the same for all providers.
//
// It knows HTTP, time-outs and what a status means by itself; it refuses to
// know a provider's bodies, and it never sends a request twice. The goroutines
// of its connections are net/http's; Client.Close ends the idle ones.
package call

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// maxAnswer is how much of an answer is read. The longest honest one echoes a
// hundred records of about 5 kB.
const maxAnswer = 1 << 20

// keepBuffer is the largest answer buffer that is kept for the next call.
const keepBuffer = 64 << 10

// Settings are what differs between the providers.
type Settings struct {
	Provider      string // as people write it; every reason begins with it
	Access        Access
	Method        string
	Frame         Frame
	Variables     Variables
	Timeout       time.Duration
	MaxRetryAfter time.Duration
	Connections   int // idle ones kept open
	WriteBuffer   int // bytes a connection gathers before it writes; 0 for net/http's own
	Transport     http.RoundTripper
}

// Access is what calls show to be let in.
type Access struct {
	Header  http.Header // sent as it is, the provider's other headers included; shared by all calls and never changed
	Secrets []string    // never shown, whoever echoes them
}

// Client makes calls to one provider. It is safe for concurrent use.
type Client struct {
	settings  Settings
	transport http.RoundTripper
	pass      atomic.Pointer[pass]
	late      error     // the cause of a call's own time-out
	buffers   sync.Pool // of *bytes.Buffer, for answers
}

// New makes a client; its settings were checked by the provider.
func New(s Settings) *Client {
	c := &Client{
		settings:  s,
		transport: s.Transport,
		late:      errors.New("time-out after " + s.Timeout.String()),
	}
	c.Renew(s.Access)
	if c.transport == nil {
		c.transport = newTransport(s)
	}
	return c
}

// pass is an Access in use.
type pass struct {
	template *http.Request
	secrets  []string // the former ones, too: answers to calls made with them may still come
}

// mostSecrets bounds how many former secrets are remembered.
const mostSecrets = 16

// Renew shows something else from the next call on.
func (c *Client) Renew(a Access) {
	secrets := a.Secrets
	if former := c.pass.Load(); former != nil {
		secrets = slices.Concat(secrets, former.secrets)
		secrets = secrets[:min(len(secrets), mostSecrets)]
	}
	c.pass.Store(&pass{secrets: secrets, template: &http.Request{
		Method: c.settings.Method, Header: a.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}})
}

// Close closes the connections that no call uses.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Reply is what came back. Its body is only valid until Free.
type Reply struct {
	Status int // 0 when none came
	Header http.Header
	Body   []byte

	fault  error // why there is no whole answer; nil when there is one
	buffer *bytes.Buffer
}

// Whole reports whether the answer was read to its end.
func (r *Reply) Whole() bool { return r.fault == nil }

// Do sends records to u as one request. It returns when the answer is read,
// the call's time-out has passed or ctx is done; the caller frees the reply.
//
// One request is one request. net/http sends a request again, unasked, when a
// kept-alive connection turns out to be dead; it does so only with a body that
// it can rewind, and this one cannot be: GetBody is nil and there is always a
// body. Redirects and cookies are the business of http.Client, which is not
// used here.
func (c *Client) Do(ctx context.Context, u *url.URL, records []providers.Record) Reply {
	ctx, cancel := context.WithTimeoutCause(ctx, c.settings.Timeout, c.late)
	defer cancel()

	body := c.settings.Frame.body(records)
	req := c.pass.Load().template.WithContext(ctx)
	req.URL, req.Host = u, u.Host
	req.Body, req.ContentLength = io.NopCloser(body), body.Size()

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Reply{fault: c.causeOf(ctx, err)}
	}
	defer resp.Body.Close()

	reply := Reply{Status: resp.StatusCode, Header: resp.Header}
	switch {
	case resp.StatusCode < 200:
		// 101 hands us a raw connection that nobody would ever close.
		reply.fault = errNotHTTP
	case resp.ContentLength == 0:
	case resp.ContentLength > maxAnswer:
		reply.fault = errOversized
	default:
		reply.buffer = c.emptyBuffer()
		_, err := reply.buffer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
		reply.Body = reply.buffer.Bytes()
		switch {
		case err != nil:
			reply.fault = c.causeOf(ctx, err)
		case len(reply.Body) > maxAnswer:
			reply.fault = errOversized
		}
		c.inflate(&reply)
	}
	return reply
}

func (c *Client) emptyBuffer() *bytes.Buffer {
	used, ok := c.buffers.Get().(*bytes.Buffer)
	if !ok {
		return new(bytes.Buffer)
	}
	used.Reset()
	return used
}

// Free gives the reply's buffer to the next call.
func (c *Client) Free(r *Reply) {
	c.free(r.buffer)
	r.buffer, r.Body = nil, nil
}

func (c *Client) free(used *bytes.Buffer) {
	if used != nil && used.Cap() <= keepBuffer {
		c.buffers.Put(used)
	}
}

// causeOf prefers the reason why ctx ended over the error that followed from
// it.
func (c *Client) causeOf(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), c.late):
		return c.late
	}
	return ctx.Err()
}
