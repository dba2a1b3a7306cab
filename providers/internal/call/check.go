package call

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The bounds of a call's times. A pause of more than a day is a mistake.
const (
	DefaultTimeout       = 10 * time.Second
	DefaultMaxRetryAfter = 5 * time.Minute
	maxTime              = 24 * time.Hour
)

// Base reads a base URL: a scheme, a host, perhaps a path to put before the
// provider's own, with or without a slash at its end.
func Base(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL; want for example https://host or https://host/prefix")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("no http or https URL; want for example https://host or https://host/prefix")
	case u.Hostname() == "":
		return nil, errors.New("a URL without a host; want for example https://host or https://host/prefix")
	case u.User != nil:
		return nil, errors.New("a URL with credentials; they belong into their own settings")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("a URL with a query or fragment; a path is allowed")
	}
	u.RawPath = strings.TrimRight(u.EscapedPath(), "/")
	u.Path, err = url.PathUnescape(u.RawPath)
	return u, err
}

// Below is the URL of path, which is escaped, under base.
func Below(base *url.URL, path string) *url.URL {
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path + path}
	if strings.IndexByte(path, '%') >= 0 || base.RawPath != base.Path {
		u.RawPath = base.RawPath + path
		// Base and the provider escaped both halves, so that this cannot fail.
		u.Path, _ = url.PathUnescape(u.RawPath)
	}
	return u
}

// Secret checks that value can stand in a header. The error does not show it.
func Secret(value string) error {
	if value == "" {
		return errors.New("empty; it is required")
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return errors.New("white space, control or non-ASCII characters; a header cannot carry them")
		}
	}
	return nil
}

// Within checks d, 0 being replaced by fallback.
func Within(d, fallback time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return fallback, nil
	case d < 0 || d > maxTime:
		return 0, fmt.Errorf("%v; more than 0 and at most %v is allowed", d, maxTime)
	}
	return d, nil
}
