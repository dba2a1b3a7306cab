// Package health asks a process of ours how it is, from beside it: for health
// checks in an image that has no shell and no client.
//
// It knows where a process that listens on an address can be reached from the
// same host. What makes a process healthy it refuses to know. It owns no
// goroutine.
package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"strings"
	"time"
)

const (
	patience = 5 * time.Second
	mostText = 1 << 10 // bytes of an answer that are shown
)

// Ask gets a path, such as /healthz, from the process that listens on addr
// ("host:port", as in HTTP_ADDR) and returns its answer as one line, or an
// error unless the status is 200. The scheme is http or https.
func Ask(ctx context.Context, scheme, addr, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	url := scheme + "://" + reachable(addr) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	// No proxy of the environment: the process is on this host. Its certificate
	// names it as others call it, and no secret is sent.
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if failed, ok := errors.AsType[*neturl.Error](err); ok { // its text repeats the address
		return "", fmt.Errorf("%s: %w", url, failed.Err)
	}
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostText))
	if err != nil {
		return "", fmt.Errorf("%s: %w", url, err)
	}
	said := strings.Join(strings.Fields(string(text)), " ")
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, response.Status, said)
	}
	return said, nil
}

// reachable turns an address to listen on into one to dial: a process that
// listens everywhere is asked on loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && ip == netip.IPv6Unspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
