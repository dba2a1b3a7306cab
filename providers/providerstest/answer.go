package providerstest

import (
	"regexp"
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tokenrelay/tokenrelay/providers"
)

// CheckAnswer checks what package providers promises of every answer to a
// call of n records.
func CheckAnswer(t *testing.T, a providers.Answer, n int) {
	t.Helper()
	if !slices.Contains(providers.Results(), a.Result) {
		t.Errorf("unknown result %q", a.Result)
	}
	if a.RetryAfter < 0 {
		t.Errorf("RetryAfter is %v", a.RetryAfter)
	}
	checkLine(t, "Reason", a.Reason)
	checkLine(t, "Hint", a.Hint)
	if a.Result != providers.OK && a.Reason == "" {
		t.Errorf("%s without a reason", a.Result)
	}

	last := -1
	for _, r := range a.Refusals {
		if r.Index <= last || r.Index >= n {
			t.Errorf("refusal of record %d of %d after that of %d", r.Index, n, last)
		}
		last = r.Index
		checkCode(t, r.Code)
		checkLine(t, "refusal's Reason", r.Reason)
		if r.Reason == "" || r.Again < 0 {
			t.Errorf("refusal %+v", r)
		}
	}

	switch a.Result {
	case providers.OK:
		if a.Reason != "" || a.Code != "" || len(a.Refusals) > 0 {
			t.Errorf("ok with more to say: %+v", a)
		}
	case providers.Partial:
		if len(a.Refusals) == 0 {
			t.Errorf("partial without refusals: %+v", a)
		}
	case providers.Refused:
		checkCode(t, a.Code)
	case providers.Unauthorized, providers.Misconfigured:
		checkCode(t, a.Code)
		if a.Hint == "" {
			t.Errorf("%s without a hint: %+v", a.Result, a)
		}
		fallthrough
	default:
		checkCode(t, a.Code)
		if len(a.Refusals) > 0 {
			t.Errorf("%s names records: %+v", a.Result, a)
		}
	}
}

func checkCode(t *testing.T, code string) {
	t.Helper()
	if !regexp.MustCompile(`^[a-z0-9_]{1,32}$`).MatchString(code) {
		t.Errorf("code %q", code)
	}
}

func checkLine(t *testing.T, what, line string) {
	t.Helper()
	if len(line) > 256 || !utf8.ValidString(line) {
		t.Errorf("%s of %d bytes, valid UTF-8 %v", what, len(line), utf8.ValidString(line))
	}
	for _, r := range line {
		if !unicode.IsPrint(r) {
			t.Errorf("%s holds %U: %q", what, r, line)
		}
	}
}
