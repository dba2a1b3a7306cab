package dlq

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// Words are a filter as people write it, on a command line or in a form. An
// empty word chooses all.
type Words struct {
	Provider   string // clevertap or courier
	Code       string // 531, http_400, …
	Reason     string // part of the reason, or of its group's
	Since      string // a time, a day, or how long ago
	Until      string
	Generation string // 0, 1-3 or 2+
}

// Wrong is a word that says nothing a filter could be made of.
type Wrong struct {
	Word    string // the name of the field, in lower case
	Found   string
	Allowed string // a clause: "must be …"
}

// Filter reads the words; now is what "24h ago" counts from.
func (w Words) Filter(now time.Time) (Filter, []Wrong) {
	f := Filter{Provider: w.Provider, Code: w.Code, Reason: w.Reason}
	var wrong []Wrong
	if w.Provider != "" && !slices.Contains(event.Providers(), w.Provider) {
		wrong = append(wrong, Wrong{"provider", w.Provider, "must be one of " + strings.Join(event.Providers(), ", ")})
	}
	if w.Code != "" && Code(w.Code) != w.Code {
		wrong = append(wrong, Wrong{"code", w.Code, "must be a code such as 531, http_400 or invalid_event"})
	}
	var err error
	if f.Generations, err = ParseSpan(w.Generation); err != nil {
		wrong = append(wrong, Wrong{"generation", w.Generation, err.Error()})
	}
	if f.Since, err = parseTime(w.Since, now); err != nil {
		wrong = append(wrong, Wrong{"since", w.Since, err.Error()})
	}
	if f.Until, err = parseTime(w.Until, now); err != nil {
		wrong = append(wrong, Wrong{"until", w.Until, err.Error()})
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
