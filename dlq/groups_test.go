package dlq_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/dlq"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"CleverTap: 531: invalid token. Skipped record number : 17":  "CleverTap: 531: invalid token. Skipped record number : #",
		"Courier: HTTP 400: invalid_request_error: bad provider_key": "Courier: HTTP #: invalid_request_error: bad provider_key",
		"no such user 8a6e0804-2bd0-4672-b79d-d97027f9071a":          "no such user [id]",
		"request req_1700000000 failed":                              "request [id] failed",
		"token dYfuuBmHLGI:APA91bGHhXZPq0123456789 is stale":         "token [id] is stale",
		"key AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh":                     "key [id]",
		"keys.p256dh: 12 bytes once decoded; 65 are required":        "keys.p256dh: # bytes once decoded; # are required",
		"waited  167h0m0s;\tthe stream":                              "waited [id]; the stream",
		"HTTP/1.1 or HTTP/2":                                         "HTTP/#.# or HTTP/#",
		"the user [redacted] is gone":                                "the user [redacted] is gone",
		"expiry_date: a string that is no date; an ISO 8601 date":    "expiry_date: a string that is no date; an ISO # date",
		"": "",
	} {
		if got := dlq.Normalise("531", reason); got != want {
			t.Errorf("%q became\n%q, want\n%q", reason, got, want)
		}
	}
	if got := dlq.Normalise("http_400", "Courier: HTTP 400: no"); got != "Courier: HTTP 400: no" {
		t.Errorf("the code's own number: %q", got)
	}
}

func TestNormaliseTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-zA-Z0-9_.:/@\- ]|number|531){0,80}`))
	rapid.Check(t, func(r *rapid.T) {
		reason := text.Draw(r, "reason")
		once := dlq.Normalise("531", reason)
		if again := dlq.Normalise("531", once); again != once {
			r.Fatalf("%q, then %q, then %q", reason, once, again)
		}
		if left := strings.ReplaceAll(once, "531", ""); strings.ContainsFunc(left, unicode.IsDigit) && !strings.Contains(reason, "p256dh") {
			r.Fatalf("digits are left in %q", once)
		}
	})
}

func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 30 {
		w.put(dlq.Letter{Provider: "clevertap", Code: "531", Reason: fmt.Sprintf("record number %d", i)})
	}
	w.put(dlq.Letter{Provider: "clevertap", Code: "531", Reason: "another"},
		dlq.Letter{Reason: "gone"}, dlq.Letter{Reason: "gone", Replayed: true, Header: replayed("x", 2)})
	groups, err := w.reader().Groups(t.Context(), dlq.Filter{}, dlq.End)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 3 {
		t.Fatalf("%+v", groups)
	}
	big, small := groups[0], groups[1]
	if big.Key != (dlq.Key{Provider: "clevertap", Code: "531", Reason: "record number #"}) || big.Count != 30 ||
		!big.First.Before(big.Last) || big.Generations[0] != 30 {
		t.Errorf("%+v", big)
	}
	if small.Reason != "gone" || small.Generations[0] != 1 || small.Generations[2] != 1 || small.Newest != "x" {
		t.Errorf("%+v", small)
	}
}

// A provider that writes something new each time must not fill the memory.
func TestGroupsAreBounded(t *testing.T) {
	t.Parallel()
	var g dlq.Grouper
	for i := range 5000 {
		word := strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
		g.Add(&dlq.Stored{Provider: "courier", Code: "http_400", Reason: word})
	}
	groups := g.Groups()
	sum := 0
	for _, group := range groups {
		sum += group.Count
	}
	if len(groups) > 2001 || sum != 5000 || groups[len(groups)-1].Reason != dlq.OtherReasons {
		t.Errorf("%d groups of %d letters", len(groups), sum)
	}
}

// Every code that a worker gives has a meaning and a cure of its own, and any
// other one has some.
func TestExplain(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, at := range []string{"clevertap 530", "clevertap 531", "clevertap 532", "clevertap 533", "clevertap 534", "clevertap 535", "clevertap 555",
		"clevertap http_400", "courier http_400", "courier http_404", "courier http_409", "courier http_413", "courier http_410", "courier http_422",
		"courier http_418", "courier http_503", "clevertap 999", "courier invalid_event", "clevertap ambiguous_response", "courier internal_error",
		"courier expired", "courier unavailable", "clevertap other"} {
		provider, code, _ := strings.Cut(at, " ")
		m := dlq.Explain(provider, code)
		if m.Means == "" || m.Cure == "" || seen[m.Means] {
			t.Errorf("%s: %+v", at, m)
		}
		seen[m.Means] = true
	}
}
