package dlq

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// FilterText is a filter as people write it, on a command line or in a form. An
// empty field chooses all.
type FilterText struct {
	Provider   string // clevertap or courier
	Code       string // 531, http_400, …
	Reason     string // part of the reason, or of its group's
	Since      string // a time, a day, or how long ago
	Until      string
	Generation string // 0, 1-3 or 2+
}

// Wrong is a field that no filter can be made of.
type Wrong struct {
	Field   string // its name, in lower case
	Found   string
	Allowed string // a clause: "must be …"
}

// Filter reads the text; now is what "24h ago" counts from.
func (t FilterText) Filter(now time.Time) (Filter, []Wrong) {
	f := Filter{Provider: t.Provider, Code: t.Code, Reason: t.Reason}
	var wrong []Wrong
	if t.Provider != "" && !slices.Contains(event.Providers(), t.Provider) {
		wrong = append(wrong, Wrong{"provider", t.Provider, "must be one of " + strings.Join(event.Providers(), ", ")})
	}
	if t.Code != "" && Code(t.Code) != t.Code {
		wrong = append(wrong, Wrong{"code", t.Code, "must be a code such as 531, http_400 or invalid_event"})
	}
	var err error
	if f.Generations, err = ParseSpan(t.Generation); err != nil {
		wrong = append(wrong, Wrong{"generation", t.Generation, err.Error()})
	}
	if f.Since, err = parseTime(t.Since, now); err != nil {
		wrong = append(wrong, Wrong{"since", t.Since, err.Error()})
	}
	if f.Until, err = parseTime(t.Until, now); err != nil {
		wrong = append(wrong, Wrong{"until", t.Until, err.Error()})
	}
	return f, wrong
}

var errTime = errors.New("must be a time such as 2026-01-31T12:00:00Z, a day such as 2026-01-31, or how long ago such as 90m, 24h or 7d")

// parseTime reads a moment; nothing is the zero time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := ParseAge(text)
	if err != nil {
		return time.Time{}, errTime
	}
	return now.Add(-ago), nil
}

// ParseAge reads a duration, in days, too: 90m, 24h, 7d. It is never negative.
func ParseAge(text string) (time.Duration, error) {
	age, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || age < 0 {
		return 0, errors.New("must be a duration such as 90m, 24h or 7d, or 0")
	}
	return age, nil
}
