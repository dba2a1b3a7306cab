package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Effect is what a rule does, a closed set.
type Effect string

// The effects. All but Refuse and Latency concern the whole call, of which
// the first such rule that matches decides; latencies add up, and of several
// Refuse rules the first that matches a record decides.
const (
	Refuse   Effect = "refuse"   // refuse the matching records with Code, as the provider does it: CleverTap names them in a 200, Courier answers the status Code
	Status   Effect = "status"   // answer Status, with Body and Header or the provider's usual error body; 401 for refused credentials, 429 with RetryAfter
	Latency  Effect = "latency"  // answer after Delay, or after something between Delay and DelayMax; the records are stored before
	Hang     Effect = "hang"     // do not answer before Delay is over or the rule ends, whichever comes first; then as usual
	Reset    Effect = "reset"    // reset the connection
	Truncate Effect = "truncate" // close the connection in the middle of the answer
	HTML     Effect = "html"     // 200 with a web page, as a captive portal does
	Redirect Effect = "redirect" // 302 to another path of the sandbox
	Miscount Effect = "miscount" // CleverTap: 200 whose counts do not add up
)

// Effects lists every effect.
func Effects() []Effect {
	return []Effect{Refuse, Status, Latency, Hang, Reset, Truncate, HTML, Redirect, Miscount}
}

// Match selects a text. All that is set must hold; nothing set selects everything.
type Match struct {
	Is       string `json:"is,omitzero"`
	Prefix   string `json:"prefix,omitzero"`
	Contains string `json:"contains,omitzero"`
	Regexp   string `json:"regexp,omitzero"` // RE2, found anywhere in the text
}

// Rule is one fault: for which calls and records, what happens, how long.
type Rule struct {
	Name     string `json:"name,omitzero"`     // shown in the report; RemoveRule takes it
	Provider string `json:"provider,omitzero"` // clevertap or courier; empty is both

	// Which. A rule that speaks of records matches a call that holds such a
	// record; without any of these it matches every call and record.
	Token    Match   `json:"token,omitzero"`
	Identity Match   `json:"identity,omitzero"` // CleverTap's objectId, Courier's user id
	Share    float64 `json:"share,omitzero"`    // 0.02: the 2 % of all tokens whose Fraction(Salt, token) is below 0.02
	Salt     string  `json:"salt,omitzero"`     // for another 2 %
	Every    int     `json:"every,omitzero"`    // only each n-th of the calls that match

	// What.
	Effect         Effect            `json:"effect"`
	Code           string            `json:"code,omitzero"`             // Refuse: CleverTap's code, 531; Courier's HTTP status, 400
	Text           string            `json:"text,omitzero"`             // Refuse: the provider's words, instead of the usual ones
	Status         int               `json:"status,omitzero"`           // Status
	Body           string            `json:"body,omitzero"`             // Status: instead of the usual error body
	Header         map[string]string `json:"header,omitzero"`           // Status
	RetryAfter     time.Duration     `json:"retry_after,omitzero"`      // Status: header Retry-After, in whole seconds
	RetryAfterDate bool              `json:"retry_after_date,omitzero"` // Status: as an HTTP date instead
	Delay          time.Duration     `json:"delay,omitzero"`            // Latency, Hang
	DelayMax       time.Duration     `json:"delay_max,omitzero"`        // Latency
	Stored         bool              `json:"stored,omitzero"`           // store the records all the same, only the answer is spoilt: Status, Reset, Truncate, HTML, Redirect, Miscount

	// How long, from when the rule was set.
	After time.Duration `json:"after,omitzero"` // begin later
	For   time.Duration `json:"for,omitzero"`   // end that long after the beginning; 0 is never
	Calls int           `json:"calls,omitzero"` // end after that many calls met it; 0 is never
}

// Fraction places a token in [0, 1), the same at all times and places: the
// first 8 bytes of SHA-256(salt + token), read as a big-endian number, as a
// fraction of 2^64. A rule with Share s concerns the tokens below s, so that
// whoever knows the tokens can tell which.
func Fraction(salt, token string) float64 {
	sum := sha256.Sum256([]byte(salt + token))
	// 53 bits are what a float64 holds; more would round up to 1.
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// Concerns tells whether the rule speaks of this record, whenever it is sent:
// Provider, Token, Identity and Share hold.
func (r Rule) Concerns(provider, identity, token string) bool {
	if r.Provider != "" && r.Provider != provider {
		return false
	}
	m, err := r.matcher()
	return err == nil && m.record(identity, token)
}

// Validate tells all that is wrong with a rule, one line a mistake.
func (r Rule) Validate() error { return errors.Join(r.mistakes()...) }

func (r Rule) mistakes() []error {
	return slices.Concat(r.selectionMistakes(), r.effectMistakes(), r.strayMistakes(), r.timeMistakes())
}

// mistakes gathers what is wrong.
type mistakes []error

func (m *mistakes) add(format string, args ...any) { *m = append(*m, fmt.Errorf(format, args...)) }

func (r Rule) selectionMistakes() (wrong mistakes) {
	switch r.Provider {
	case "", CleverTap, Courier:
	default:
		wrong.add("provider: %q; want clevertap, courier or nothing for both", r.Provider)
	}
	if r.Share < 0 || r.Share > 1 {
		wrong.add("share: %v; want 0 to 1", r.Share)
	}
	if r.Salt != "" && r.Share == 0 {
		wrong.add("salt: goes with share only")
	}
	if r.Every < 0 {
		wrong.add("every: %d; want a number above 0", r.Every)
	}
	if _, err := regexp.Compile(r.Token.Regexp); err != nil {
		wrong.add("token.regexp: %v", err)
	}
	if _, err := regexp.Compile(r.Identity.Regexp); err != nil {
		wrong.add("identity.regexp: %v", err)
	}
	return wrong
}

func (r Rule) effectMistakes() (wrong mistakes) {
	known := make([]string, 0, len(Effects()))
	for _, e := range Effects() {
		known = append(known, string(e))
	}
	switch r.Effect {
	case Refuse:
		wrong = append(wrong, r.codeMistakes()...)
	case Status:
		if r.Status < 200 || r.Status > 599 {
			wrong.add("status: %d; want an HTTP status, 200 to 599", r.Status)
		}
	case Latency:
		if r.Delay <= 0 && r.DelayMax <= 0 {
			wrong.add("delay: missing; want how long a call takes, like 50ms")
		}
		if r.DelayMax != 0 && r.DelayMax < r.Delay {
			wrong.add("delay_max: %v is less than delay %v", r.DelayMax, r.Delay)
		}
	case Miscount:
		if r.Provider != CleverTap {
			wrong.add("provider: effect miscount is CleverTap's only")
		}
	case Hang, Reset, Truncate, HTML, Redirect:
	case "":
		wrong.add("effect: missing; want one of %s", strings.Join(known, ", "))
	default:
		wrong.add("effect: %q; want one of %s", r.Effect, strings.Join(known, ", "))
	}
	return wrong
}

// strayMistakes are the parameters that the effect would ignore.
func (r Rule) strayMistakes() (wrong mistakes) {
	only := func(set bool, field string, effects ...Effect) {
		names := make([]string, len(effects))
		for i, e := range effects {
			if r.Effect == e {
				return
			}
			names[i] = string(e)
		}
		if set {
			wrong.add("%s: goes with effect %s only", field, strings.Join(names, ", "))
		}
	}
	only(r.Code != "", "code", Refuse)
	only(r.Text != "", "text", Refuse)
	only(r.Status != 0, "status", Status)
	only(r.Body != "", "body", Status)
	only(len(r.Header) > 0, "header", Status)
	only(r.RetryAfter != 0, "retry_after", Status)
	only(r.RetryAfterDate, "retry_after_date", Status)
	only(r.Delay != 0, "delay", Latency, Hang)
	only(r.DelayMax != 0, "delay_max", Latency)
	only(r.Stored, "stored", Status, Reset, Truncate, HTML, Redirect, Miscount)
	return wrong
}

func (r Rule) timeMistakes() (wrong mistakes) {
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"retry_after", r.RetryAfter}, {"delay", r.Delay}, {"after", r.After}, {"for", r.For}} {
		if d.value < 0 {
			wrong.add("%s: %v; want 0 or more", d.field, d.value)
		}
	}
	if r.Calls < 0 {
		wrong.add("calls: %d; want 0 or more", r.Calls)
	}
	return wrong
}

func (r Rule) codeMistakes() []error {
	status, err := strconv.Atoi(r.Code)
	switch {
	case r.Provider == "":
		return []error{errors.New("provider: missing; effect refuse needs one, the codes differ")}
	case r.Code == "":
		return []error{errors.New("code: missing; want CleverTap's code, like 531, or Courier's HTTP status, like 400")}
	case r.Provider == Courier && (err != nil || status < 400 || status > 599):
		return []error{fmt.Errorf("code: %q; want an HTTP status at Courier, 400 to 599", r.Code)}
	}
	return nil
}

func validateRules(rules []Rule) []error {
	var mistakes []error
	for i, r := range rules {
		for _, err := range r.mistakes() {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", place(i, r.Name), err))
		}
	}
	return mistakes
}

func place(i int, name string) string {
	if name == "" {
		return fmt.Sprintf("rule %d", i+1)
	}
	return fmt.Sprintf("rule %d (%s)", i+1, name)
}

// matcher is a rule's selection of records, compiled once.
type matcher struct {
	rule            Rule
	token, identity *regexp.Regexp // nil: none
	all             bool           // the rule does not speak of records
}

func (r Rule) matcher() (*matcher, error) {
	m := &matcher{rule: r, all: r.Token == Match{} && r.Identity == Match{} && r.Share == 0}
	for _, p := range []struct {
		source string
		target **regexp.Regexp
	}{{r.Token.Regexp, &m.token}, {r.Identity.Regexp, &m.identity}} {
		if p.source == "" {
			continue
		}
		compiled, err := regexp.Compile(p.source)
		if err != nil {
			return nil, err
		}
		*p.target = compiled
	}
	return m, nil
}

func (m *matcher) record(identity, token string) bool {
	return m.all ||
		m.rule.Token.selects(token, m.token) &&
			m.rule.Identity.selects(identity, m.identity) &&
			(m.rule.Share == 0 || Fraction(m.rule.Salt, token) < m.rule.Share)
}

func (m Match) selects(text string, pattern *regexp.Regexp) bool {
	return (m.Is == "" || text == m.Is) && strings.HasPrefix(text, m.Prefix) && strings.Contains(text, m.Contains) &&
		(pattern == nil || pattern.MatchString(text))
}

// retryAfter is the header's value; empty is none.
func (r Rule) retryAfter(now time.Time) string {
	switch {
	case r.RetryAfter == 0 && !r.RetryAfterDate:
		return ""
	case r.RetryAfterDate:
		return now.Add(r.RetryAfter).UTC().Format(http.TimeFormat)
	}
	return strconv.Itoa(int((r.RetryAfter + time.Second - 1) / time.Second))
}
