package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

const (
	forBoth    = `{"user_id":"u","object_id":"o","token":"t","type":"fcm"}`
	forCourier = `{"user_id":"u","token":"t","type":"fcm"}`
	forNobody  = `{"token":"t","type":"fcm"}`
)

func TestAudit(t *testing.T) {
	t.Parallel()
	clevertap, courier := record{"o", "t"}, record{"u", "t"}
	for name, c := range map[string]struct {
		body      string
		accepted  map[string]map[record]int
		letters   map[string][]string
		confirmed []string
		want      string // in the only complaint; empty: the books balance
		sums      map[string]sums
	}{
		"delivered": {
			body:      forBoth,
			accepted:  map[string]map[record]int{event.CleverTap: {clevertap: 1}, event.Courier: {courier: 3}},
			confirmed: []string{"t"},
			sums:      map[string]sums{event.CleverTap: {delivered: 1}, event.Courier: {delivered: 1, repeated: 2}},
		},
		"refused by one": {
			body:     forBoth,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}},
			letters:  map[string][]string{event.CleverTap: {"531"}},
			sums:     map[string]sums{event.CleverTap: {dead: 1}, event.Courier: {delivered: 1}},
		},
		"not for one": {
			body:     forCourier,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}},
			sums:     map[string]sums{event.CleverTap: {skipped: 1}, event.Courier: {delivered: 1}},
		},
		"no event": {
			body:    "garbage",
			letters: map[string][]string{event.CleverTap: {"invalid_event"}, event.Courier: {"invalid_event"}},
			sums:    map[string]sums{event.CleverTap: {dead: 1}, event.Courier: {dead: 1}},
		},
		"for nobody": {
			body:    forNobody,
			letters: map[string][]string{event.CleverTap: {"invalid_event"}, event.Courier: {"invalid_event"}},
			sums:    map[string]sums{event.CleverTap: {dead: 1}, event.Courier: {dead: 1}},
		},
		"lost": {
			body:     forBoth,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}},
			want:     "clevertap: lost",
		},
		"two outcomes": {
			body:     forCourier,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}},
			letters:  map[string][]string{event.Courier: {"http_400"}},
			want:     "courier: accepted, and a letter http_400",
		},
		"two letters": {
			body:    forCourier,
			letters: map[string][]string{event.Courier: {"http_400", "http_400"}},
			want:    "courier: two letters",
		},
		"a letter of what is not for it": {
			body:     forCourier,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}},
			letters:  map[string][]string{event.CleverTap: {"531"}},
			want:     "clevertap: a letter of an event that is not for it",
		},
		"accepted what is not for it": {
			body:     forCourier,
			accepted: map[string]map[record]int{event.Courier: {courier: 1}, event.CleverTap: {clevertap: 1}},
			want:     "clevertap: accepted, and not in the stream",
		},
		"made up": {
			body:     forCourier,
			accepted: map[string]map[record]int{event.Courier: {courier: 1, record{"u", "other"}: 1}},
			want:     "courier: accepted, and not in the stream",
		},
		"confirmed and gone": {
			body:      forCourier,
			accepted:  map[string]map[record]int{event.Courier: {courier: 1}},
			confirmed: []string{"other"},
			want:      "confirmed, and 0 times in the stream",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			l.enter(7, []byte(c.body))
			maps.Copy(l.accepted, c.accepted)
			for provider, codes := range c.letters {
				l.letters[provider][7] = codes
			}
			got, problems := l.audit(7, c.confirmed)
			if len(problems) > 1 || (c.want == "") != (len(problems) == 0) || c.want != "" && !strings.HasPrefix(problems[0], c.want) {
				t.Errorf("problems %q, want %q", problems, c.want)
			}
			for provider, want := range c.sums {
				if got[provider] != want {
					t.Errorf("%s: %+v, want %+v", provider, got[provider], want)
				}
			}
		})
	}
}

// What came after the place up to which all is settled may still be on its way.
func TestAuditLeavesOutWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.enter(7, []byte(forBoth))
	if _, problems := l.audit(6, nil); len(problems) > 0 {
		t.Errorf("problems %q", problems)
	}
}
