package sandbox_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestParseRules(t *testing.T) {
	t.Parallel()
	rules, err := sandbox.ParseRules([]byte(`[
		{"name":"n","provider":"clevertap","token":{"prefix":"a","contains":"b","regexp":"c$","is":"abc"},"identity":{"is":"i"},"share":0.5,"salt":"s","every":2,
		 "effect":"refuse","code":"531","text":"x","after":"1m30s","for":"250ms","calls":3},
		{"effect":"status","status":429,"body":"b","header":{"X-A":"b"},"retry_after":"7s","retry_after_date":true,"stored":true},
		{"effect":"latency","delay":"50ms","delay_max":"1s"}]`))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "rules", fmt.Sprintf("%+v", rules), fmt.Sprintf("%+v", []sandbox.Rule{
		{
			Name: "n", Provider: "clevertap", Token: sandbox.Match{Is: "abc", Prefix: "a", Contains: "b", Regexp: "c$"}, Identity: sandbox.Match{Is: "i"},
			Share: 0.5, Salt: "s", Every: 2, Effect: sandbox.Refuse, Code: "531", Text: "x", After: 90 * time.Second, For: 250 * time.Millisecond, Calls: 3,
		},
		{Effect: sandbox.Status, Status: 429, Body: "b", Header: map[string]string{"X-A": "b"}, RetryAfter: 7 * time.Second, RetryAfterDate: true, Stored: true},
		{Effect: sandbox.Latency, Delay: 50 * time.Millisecond, DelayMax: time.Second},
	}))
	none, err := sandbox.ParseRules([]byte(`[]`))
	want(t, "no rule", len(none), 0)
	want(t, "no rule", err, nil)
}

func TestParseRulesTellsEveryMistake(t *testing.T) {
	t.Parallel()
	const effects = "refuse, status, latency, hang, reset, truncate, html, redirect, miscount"
	for text, message := range map[string]string{
		`{"effect":"hang"}`: "rules: want a JSON array of rules",
		`null`:              "rules: want a JSON array of rules",
		`[7]`:               "rule 1: want a JSON object",
		`[{"effect":"hang"},{"effect":"hang","dealy":"1s"}]`:      "rule 2: dealy: there is no such field",
		`[{"effect":"hang","Delay":"1s"}]`:                        "rule 1: Delay: there is no such field",
		`[{"effect":"hang","token":{"suffix":"x"}}]`:              "rule 1: token.suffix: there is no such field",
		`[{"effect":"hang","delay":5}]`:                           `rule 1: delay: want a duration like "250ms" or "10s"`,
		`[{"effect":"hang","delay":"5"}]`:                         `rule 1: delay: want a duration like "250ms" or "10s"`,
		`[{"effect":"refuse","provider":"clevertap","code":531}]`: "rule 1: code: want a string",
		`[{"effect":"hang","every":1.5}]`:                         "rule 1: every: want a whole number",
		`[{"effect":"hang","share":"2%"}]`:                        "rule 1: share: want a number",
		`[{"effect":"reset","stored":"yes"}]`:                     "rule 1: stored: want true or false",
		`[{"effect":"hang","token":"x"}]`:                         "rule 1: token: want an object",
		`[{"name":"n","effect":"hang","delay":"x","calls":"y"}]`:  "rule 1 (n): delay: want a duration like \"250ms\" or \"10s\"\nrule 1 (n): calls: want a whole number",
		`[{}]`:                                                                          "rule 1: effect: missing; want one of " + effects,
		`[{"effect":"Hang"}]`:                                                           `rule 1: effect: "Hang"; want one of ` + effects,
		`[{"effect":"hang","provider":"apple"}]`:                                        `rule 1: provider: "apple"; want clevertap, courier or nothing for both`,
		`[{"effect":"hang","share":2}]`:                                                 "rule 1: share: 2; want 0 to 1",
		`[{"effect":"hang","salt":"x"}]`:                                                "rule 1: salt: goes with share only",
		`[{"effect":"hang","every":-1}]`:                                                "rule 1: every: -1; want a number above 0",
		`[{"effect":"hang","token":{"regexp":"("}}]`:                                    "rule 1: token.regexp: error parsing regexp: missing closing ): `(`",
		`[{"effect":"hang","identity":{"regexp":"("}}]`:                                 "rule 1: identity.regexp: error parsing regexp: missing closing ): `(`",
		`[{"effect":"refuse","code":"531"}]`:                                            "rule 1: provider: missing; effect refuse needs one, the codes differ",
		`[{"effect":"refuse","provider":"clevertap"}]`:                                  "rule 1: code: missing; want CleverTap's code, like 531, or Courier's HTTP status, like 400",
		`[{"effect":"refuse","provider":"courier","code":"531x"}]`:                      `rule 1: code: "531x"; want an HTTP status at Courier, 400 to 599`,
		`[{"effect":"status"}]`:                                                         "rule 1: status: 0; want an HTTP status, 200 to 599",
		`[{"effect":"latency"}]`:                                                        "rule 1: delay: missing; want how long a call takes, like 50ms",
		`[{"effect":"latency","delay":"2s","delay_max":"1s"}]`:                          "rule 1: delay_max: 1s is less than delay 2s",
		`[{"effect":"miscount"}]`:                                                       "rule 1: provider: effect miscount is CleverTap's only",
		`[{"effect":"hang","code":"1"}]`:                                                "rule 1: code: goes with effect refuse only",
		`[{"effect":"hang","status":500}]`:                                              "rule 1: status: goes with effect status only",
		`[{"effect":"html","stored":true,"delay":"1s"}]`:                                "rule 1: delay: goes with effect latency, hang only",
		`[{"effect":"hang","stored":true}]`:                                             "rule 1: stored: goes with effect status, reset, truncate, html, redirect, miscount only",
		`[{"effect":"hang","for":"-1s"},{"effect":"status","status":1,"calls":-1}]`:     "rule 1: for: -1s; want 0 or more\nrule 2: status: 1; want an HTTP status, 200 to 599\nrule 2: calls: -1; want 0 or more",
		`[{"effect":"status","status":429,"text":"x","header":{"A":"b"},"delay":"1s"}]`: "rule 1: text: goes with effect refuse only\nrule 1: delay: goes with effect latency, hang only",
	} {
		_, err := sandbox.ParseRules([]byte(text))
		want(t, text, fmt.Sprint(err), message)
	}
	for _, text := range []string{``, `[`, `[{"effect":"hang","effect":"hang"}]`, `[] []`, `[{"a":}]`} {
		_, err := sandbox.ParseRules([]byte(text))
		if err == nil || errors.Unwrap(err) == nil {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestConcerns(t *testing.T) {
	t.Parallel()
	rule := sandbox.Rule{Provider: sandbox.Courier, Token: sandbox.Match{Prefix: "a", Contains: "b"}, Identity: sandbox.Match{Regexp: "^u[0-9]$"}}
	for _, c := range []struct {
		provider, identity, token string
		want                      bool
	}{
		{sandbox.Courier, "u1", "acb", true},
		{sandbox.CleverTap, "u1", "acb", false},
		{sandbox.Courier, "u11", "acb", false},
		{sandbox.Courier, "u1", "ac", false},
		{sandbox.Courier, "u1", "bacb", false},
	} {
		want(t, fmt.Sprint(c), rule.Concerns(c.provider, c.identity, c.token), c.want)
	}
	want(t, "a rule without records", sandbox.Rule{}.Concerns(sandbox.CleverTap, "u", "t"), true)
}
