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

// describe says in a few words why no whole answer came: first words that are
// ours, then the error's own, which may quote what the other side sent.
// misdirected reports that the address itself looks wrong.
func (c *Client) describe(err error) (ours, theirs string, misdirected bool) {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which holds a user's id and token
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host", "", true
		}
		return "DNS failure", "", false
	}
	if isTLS(err) {
		return "TLS", err.Error(), true
	}
	switch {
	case errors.Is(err, c.late):
		return err.Error(), "", false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "the call was interrupted", "", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "", false
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset", "", false
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable", "", false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the end of the answer", "", false
	case errors.Is(err, errOversized), errors.Is(err, errNotHTTP):
		return err.Error(), "", false
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "time-out while connecting", "", false
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return "no usable answer", "malformed HTTP headers", false
	}
	// What net/http quotes is what the other side sent.
	text, _, _ := strings.Cut(err.Error(), `"`)
	return "no usable answer", strings.TrimSpace(text), false
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
