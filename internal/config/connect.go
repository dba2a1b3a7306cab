package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
)

// Connect opens a connection, or says in one line why not. Every server is
// tried once. The connection then never gives up: it reconnects until closed.
// The options given come last and win.
func (n *NATS) Connect(ctx context.Context, name string, options ...nats.Option) (*nats.Conn, error) {
	if err := n.load(); err != nil {
		return nil, err
	}
	n.reread()
	dialer := &firstDialer{ctx: ctx}
	all := []nats.Option{
		nats.Name(name),
		nats.SetCustomDialer(dialer),
		nats.MaxReconnects(-1),
		// Credentials that are being rotated are refused twice in a row; without
		// this the client would close for good.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(500*time.Millisecond, time.Second),
		// A broker that is gone without a word is noticed within half a minute.
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		// Room for the acks and answers of some thousand records while away.
		nats.ReconnectBufSize(1 << 20),
		// The client's own handler writes to the process's stderr.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	all = append(append(all, n.credentials()...), options...)
	conn, err := nats.Connect(strings.Join(n.URL, ","), all...)
	failures := dialer.finish(func() { n.renew(conn) })
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("NATS_URL: %w", context.Cause(ctx))
	}
	return nil, n.explain(err, failures)
}

// Await connects as Connect does, and tries again with growing pauses until it
// succeeds or ctx is done. It says so in the log at each failure.
func (n *NATS) Await(ctx context.Context, name string, log *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(250*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	return backoff.RetryNotifyWithData(
		func() (*nats.Conn, error) { return n.Connect(ctx, name, options...) },
		backoff.WithContext(pauses, ctx),
		func(err error, pause time.Duration) {
			log.WarnContext(ctx, "waiting for NATS", "err", err, "next_try_in", pause.Round(time.Millisecond).String())
		},
	)
}

// credentials are asked for anew whenever the connection is made again.
func (n *NATS) credentials() []nats.Option {
	var options []nats.Option
	if n.User != "" {
		options = append(options, nats.UserInfoHandler(func() (string, string) { return n.User, n.Password.Reveal() }))
	}
	if creds := n.files.creds; creds != nil {
		options = append(options, nats.UserJWT(
			func() (string, error) { return creds.Get().jwt, nil },
			func(nonce []byte) ([]byte, error) { return creds.Get().key.Sign(nonce) }))
	}
	if nkey := n.files.nkey; nkey != nil {
		options = append(options, nats.Nkey(nkey.Get().public, func(nonce []byte) ([]byte, error) { return nkey.Get().key.Sign(nonce) }))
	}
	var certificate nats.TLSCertHandler
	if pair := n.files.pair; pair != nil {
		certificate = func() (tls.Certificate, error) { return pair.Get(), nil }
	}
	var authorities nats.RootCAsHandler
	if ca := n.files.ca; ca != nil {
		authorities = func() (*x509.CertPool, error) { return ca.Get(), nil }
	}
	if certificate != nil || authorities != nil {
		options = append(options, nats.ClientTLSConfig(certificate, authorities))
	}
	return options
}

// reread reads the files before a connection is made. One that is wrong keeps
// what it said.
func (n *NATS) reread() {
	for _, file := range n.Files() {
		_ = file.Reread() // a Watch says what is wrong
	}
}

// renew readies a connection that is about to be made again. The client asks for
// all of its credentials but for the name of an NKey user, which it takes from
// its options: they are this goroutine's while it dials.
func (n *NATS) renew(conn *nats.Conn) {
	n.reread()
	if n.files.nkey != nil {
		conn.Opts.Nkey = n.files.nkey.Get().public
	}
}

// explain names each server that was dialled in vain, else all of them, and
// never a user or a password.
func (n *NATS) explain(err error, failures []failure) error {
	var lines []string
	places := make([]string, len(n.URL))
	for i, server := range n.URL {
		places[i] = place(server)
	}
	for _, f := range failures {
		at := "nats://" + f.address
		if i := slices.IndexFunc(places, func(p string) bool { return strings.HasSuffix(p, "://"+f.address) }); i >= 0 {
			at = places[i]
		}
		if line := at + ": " + f.reason(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 && (errors.Is(err, nats.ErrNoServers) || errors.Is(err, failures[len(failures)-1].err)) {
		return &unreachable{line: "NATS_URL: " + strings.Join(lines, "; "), err: failures[len(failures)-1].err}
	}
	line := "NATS_URL: " + strings.Join(places, ",") + ": "
	switch {
	case errors.Is(err, io.EOF):
		line += "closed the connection at once; is it a NATS server?"
	case RefusesUser(err):
		line += strings.TrimPrefix(err.Error(), "nats: ") + "; look at NATS_USER, NATS_PASSWORD, NATS_CREDS and NATS_NKEY_FILE"
	default:
		line += strings.TrimPrefix(err.Error(), "nats: ")
	}
	return &unreachable{line: line, err: err}
}

// RefusesUser tells an error of a connection that speaks against its credentials.
func RefusesUser(err error) bool {
	return slices.ContainsFunc([]error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired},
		func(refusal error) bool { return errors.Is(err, refusal) })
}

// unreachable is a broker that could not be connected to.
type unreachable struct {
	line string
	err  error
}

func (u *unreachable) Error() string { return u.line }
func (u *unreachable) Unwrap() error { return u.err }

// firstDialer remembers why the first connection failed: the client tells only
// that no server is available. It also ends the attempt with its context.
type firstDialer struct {
	mu       sync.Mutex
	ctx      context.Context // of Connect; nil once that has returned
	failures []failure
	renew    func() // called before each later connection; set with ctx to nil
}

type failure struct {
	address string // host:port
	err     error
}

// Dial is the client's call, of the first connection and of every later one.
func (d *firstDialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	ctx, renew := d.ctx, d.renew
	d.mu.Unlock()
	first := ctx != nil
	if !first {
		ctx = context.Background()
		renew()
	}
	plain := net.Dialer{Timeout: 5 * time.Second}
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil && first {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failures = append(d.failures, failure{address, err})
	}
	return conn, err
}

func (d *firstDialer) finish(renew func()) []failure {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx, d.renew = nil, renew
	return d.failures
}

// reason is the innermost cause in a few words.
func (f failure) reason() string {
	if errno, ok := errors.AsType[syscall.Errno](f.err); ok {
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](f.err); ok {
		return dns.Err
	}
	if timeout, ok := errors.AsType[net.Error](f.err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](f.err); ok {
		return op.Err.Error()
	}
	return f.err.Error()
}
