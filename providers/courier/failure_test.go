package courier_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/courier"
	"github.com/tokenrelay/tokenrelay/providers/providerstest"
)

// What a person is told to look at.
const (
	access      = "check COURIER_API_KEY and COURIER_REGION"
	crowded     = "other callers of the account count too; check COURIER_MAX_CONCURRENT"
	elsewhere   = "check COURIER_BASE_URL and COURIER_REGION"
	unreachable = elsewhere + ", and HTTPS_PROXY where there is a proxy; if Courier is just down, delivery resumes by itself"
	theirs      = "nothing to set here: the trouble is Courier's or the network's, and delivery resumes by itself"
)

// TestFailures: a person reads what kind of failure it was, and neither the
// URL nor what the other side sent.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err          error
		reason, hint string
	}{
		{syscall.ECONNREFUSED, "Courier: connection refused", unreachable},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "Courier: connection reset", theirs},
		{syscall.EPIPE, "Courier: connection reset", theirs},
		{syscall.ENETUNREACH, "Courier: host unreachable", unreachable},
		{&net.DNSError{Err: "no such host", Name: "tok-A", IsNotFound: true}, "Courier: no such host", elsewhere},
		{&net.DNSError{Err: "server misbehaving", Name: "tok-A", IsTemporary: true}, "Courier: DNS failure", unreachable},
		{os.ErrDeadlineExceeded, "Courier: time-out while connecting", unreachable},
		{context.DeadlineExceeded, "Courier: the call was interrupted", ""},
		{x509.UnknownAuthorityError{}, "Courier: TLS: x509: certificate signed by unknown authority", elsewhere},
		{x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"other.example"}}, Host: "host"},
			"Courier: TLS: x509: certificate is valid for other.example, not host", elsewhere},
		{http.ErrSchemeMismatch, "Courier: TLS: http: server gave HTTP response to HTTPS client", elsewhere},
		{textproto.ProtocolError("malformed MIME header line: tok-A"), "Courier: no usable answer: malformed HTTP headers", elsewhere},
		{fmt.Errorf("malformed HTTP response %q", "tok-A"), "Courier: no usable answer: malformed HTTP response", elsewhere},
		{errors.New("odd: tok-A at user-1"), "Courier: no usable answer: odd: [redacted] at [redacted]", elsewhere},
	} {
		for _, err := range []error{c.err, &url.Error{Op: "Put", URL: "https://host/users/user-1/tokens/tok-A", Err: c.err}} {
			client := start(t, courier.Settings{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })})
			a := client.Call(t.Context(), prepare(t, client, &event.Event{UserID: "user-1", Token: "tok-A", Type: "fcm"}))
			providerstest.CheckAnswer(t, a, 1)
			if a.Result != providers.Unavailable || a.Code != "unavailable" || a.Status != 0 || a.Reason != c.reason || a.Hint != c.hint {
				t.Errorf("%v:\ngot  %+v\nwant %q, %q", err, a, c.reason, c.hint)
			}
			if strings.Contains(a.Reason, "tok-A") || strings.Contains(a.Reason, "https://") {
				t.Errorf("reason %q", a.Reason)
			}
		}
	}
}
