package call

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
)

var (
	errOversized = errors.New("answer larger than 1 MiB")
	errNotHTTP   = errors.New("an answer that is not final")
)

// describe says in a few words why no whole answer came: what in words that
// are ours, then the error's own, which may quote what the other side sent.
func (c *Client) describe(err error) (what, text string, why trouble) {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which holds a user's id and token
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host", "", elsewhere
		}
		return "DNS failure", "", unreachable
	}
	if isTLS(err) {
		return "TLS", err.Error(), elsewhere
	}
	switch {
	case errors.Is(err, c.late):
		return err.Error(), "", slow
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "the call was interrupted", "", interrupted
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "", unreachable
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset", "", theirs
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable", "", unreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the end of the answer", "", theirs
	case errors.Is(err, errOversized), errors.Is(err, errNotHTTP):
		return err.Error(), "", elsewhere
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "time-out while connecting", "", unreachable
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return "no usable answer", "malformed HTTP headers", elsewhere
	}
	// What net/http quotes is what the other side sent.
	text, _, _ = strings.Cut(err.Error(), `"`)
	return "no usable answer", strings.TrimSpace(text), elsewhere
}

func isTLS(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
