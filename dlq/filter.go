package dlq

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Filter chooses letters, in the same way for every verb. All that is set must
// hold; the zero value chooses all.
type Filter struct {
	Provider    string
	Code        string
	Reason      string    // part of the reason, or of its group's, in either letter case
	WholeGroup  bool      // Reason is all of the group's reason, as Key has it
	Since       time.Time // of the death, included
	Until       time.Time // not included
	Generations Span
	Token       string // personal: never shown
	User        string // user_id; personal
	Object      string // object_id; personal
	ID          string
	From        uint64 // place in the stream, included
	Through     uint64 // included; like any empty field, 0 asks for nothing
	Limit       int    // the newest so many; 0 is all
}

// Selects reports whether the filter leaves any letter out for what it is; a
// limit does not.
func (f Filter) Selects() bool {
	f.Limit = 0
	return f != Filter{}
}

// Match reports whether a letter is chosen, but for the limit. A letter
// without its body matches no token and no person.
func (f Filter) Match(l *Stored) bool {
	switch {
	case f.Provider != "" && l.Provider != f.Provider,
		f.Code != "" && l.Code != f.Code,
		f.ID != "" && l.ID != f.ID,
		l.Seq < f.From, f.Through > 0 && l.Seq > f.Through,
		!f.Generations.Has(l.Generation),
		!f.Since.IsZero() && l.FailedAt.Before(f.Since),
		!f.Until.IsZero() && !l.FailedAt.Before(f.Until):
		return false
	}
	switch {
	case f.WholeGroup:
		if Normalise(l.Code, l.Reason) != f.Reason {
			return false
		}
	case f.Reason != "" && !containsFold(l.Reason, f.Reason) && !containsFold(Normalise(l.Code, l.Reason), f.Reason):
		return false
	}
	return !f.personal() || Names(l.Body, f.Token, f.User, f.Object)
}

// personal reports whether bodies must be read.
func (f Filter) personal() bool { return f.Token != "" || f.User != "" || f.Object != "" }

// bySubject reports whether the stream itself can tell the letters apart.
func (f Filter) bySubject() bool {
	f.Provider, f.Code = "", ""
	return f == Filter{}
}

// subject is what the stream is asked for.
func (f Filter) subject() string {
	provider, code := f.Provider, f.Code
	if provider == "" {
		provider = "*"
	}
	if code == "" {
		code = "*"
	}
	return Subject(provider, code)
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// Span is a range of generations; its zero value has all of them.
type Span struct {
	Set      bool
	Min, Max int // both included
}

// Has reports whether the span has n.
func (s Span) Has(n int) bool { return !s.Set || s.Min <= n && n <= s.Max }

var errSpan = errors.New("must be a number such as 0, a range such as 1-3, or 2+")

// ParseSpan reads `2`, `1-3` or `2+`; nothing is all.
func ParseSpan(text string) (Span, error) {
	if text == "" {
		return Span{}, nil
	}
	low, high, isRange := strings.Cut(text, "-")
	open := false
	if !isRange {
		low, open = strings.CutSuffix(text, "+")
		high = low
	}
	least, err := strconv.ParseUint(low, 10, 31)
	if err != nil {
		return Span{}, errSpan
	}
	most, err := strconv.ParseUint(high, 10, 31)
	if err != nil || most < least {
		return Span{}, errSpan
	}
	if open {
		most = 1<<31 - 1
	}
	return Span{true, int(least), int(most)}, nil
}
