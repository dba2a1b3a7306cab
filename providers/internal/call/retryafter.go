package call

import (
	"net/http"
	"strings"
	"time"
)

// retryAfter is the pause that the header asks for, 0 when it asks for none
// that can be understood, at most MaxRetryAfter: one header must not park a
// provider for a week.
//
// https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	limit := c.settings.MaxRetryAfter
	if pause, ok := seconds(value, limit); ok {
		return pause
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	// The sender's clock is the one the date was made with.
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), limit)
}

// seconds reads a number of seconds, be it of a thousand digits.
func seconds(value string, limit time.Duration) (time.Duration, bool) {
	var pause time.Duration
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return 0, false
		}
		pause = min(pause*10+time.Duration(c-'0')*time.Second, limit)
	}
	return pause, true
}
