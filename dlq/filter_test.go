package dlq_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/dlq"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	letter := dlq.Stored{ID: "the-id", Provider: "clevertap", Code: "531", Reason: "CleverTap: 531: token 12345 is stale", Generation: 2,
		FailedAt: noon(), Body: []byte(`{"token":"t","user_id":"u","object_id":"o","type":"fcm"}`)}
	for name, c := range map[string]struct {
		f    dlq.Filter
		want bool
	}{
		"all":                     {dlq.Filter{}, true},
		"provider":                {dlq.Filter{Provider: "clevertap"}, true},
		"another provider":        {dlq.Filter{Provider: "courier"}, false},
		"code":                    {dlq.Filter{Code: "531"}, true},
		"part of a code":          {dlq.Filter{Code: "53"}, false},
		"reason":                  {dlq.Filter{Reason: "12345 IS"}, true},
		"reason of the group":     {dlq.Filter{Reason: "token # is stale"}, true},
		"another reason":          {dlq.Filter{Reason: "fresh"}, false},
		"all of its group's":      {dlq.Filter{Reason: "CleverTap: 531: token # is stale", WholeGroup: true}, true},
		"a part of its group's":   {dlq.Filter{Reason: "token # is stale", WholeGroup: true}, false},
		"the group of no reason":  {dlq.Filter{WholeGroup: true}, false},
		"since its death":         {dlq.Filter{Since: noon()}, true},
		"since later":             {dlq.Filter{Since: noon().Add(1)}, false},
		"until its death":         {dlq.Filter{Until: noon()}, false},
		"until later":             {dlq.Filter{Until: noon().Add(1)}, true},
		"generation":              {dlq.Filter{Generations: dlq.Span{Set: true, Min: 2, Max: 2}}, true},
		"generation 0":            {dlq.Filter{Generations: dlq.Span{Set: true}}, false},
		"token":                   {dlq.Filter{Token: "t"}, true},
		"user":                    {dlq.Filter{User: "u"}, true},
		"object":                  {dlq.Filter{Object: "o"}, true},
		"user and another object": {dlq.Filter{User: "u", Object: "x"}, false},
		"id":                      {dlq.Filter{ID: "the-id"}, true},
		"another id":              {dlq.Filter{ID: "the"}, false},
		"all of it":               {dlq.Filter{Provider: "clevertap", Code: "531", Reason: "stale", Since: noon(), Token: "t", ID: "the-id"}, true},
	} {
		if got := c.f.Match(&letter); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := c.f.Selects(); got != (name != "all") {
			t.Errorf("%s selects: %v", name, got)
		}
	}
	if (dlq.Filter{Limit: 3}).Selects() {
		t.Error("a limit is no selection")
	}
}

func TestFilterText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  dlq.FilterText
		want  dlq.Filter
		wrong string
	}{
		{dlq.FilterText{}, dlq.Filter{}, ""},
		{dlq.FilterText{Provider: "courier", Code: "http_400", Reason: "x", Generation: "2+"},
			dlq.Filter{Provider: "courier", Code: "http_400", Reason: "x", Generations: dlq.Span{Set: true, Min: 2, Max: 1<<31 - 1}}, ""},
		{dlq.FilterText{Since: "7d", Until: "90m"}, dlq.Filter{Since: noon().Add(-7 * 24 * time.Hour), Until: noon().Add(-90 * time.Minute)}, ""},
		{dlq.FilterText{Since: "2026-01-31", Until: "2026-01-31T12:00:00+01:00"},
			dlq.Filter{Since: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)}, ""},
		{dlq.FilterText{Provider: "pidgeon"}, dlq.Filter{}, "provider"},
		{dlq.FilterText{Code: "HTTP 400"}, dlq.Filter{}, "code"},
		{dlq.FilterText{Generation: "often"}, dlq.Filter{}, "generation"},
		{dlq.FilterText{Since: "-5m"}, dlq.Filter{}, "since"},
		{dlq.FilterText{Until: "soon"}, dlq.Filter{}, "until"},
		{dlq.FilterText{Since: "99999999d"}, dlq.Filter{}, "since"},
	} {
		got, wrong := c.text.Filter(noon())
		if c.wrong != "" {
			if len(wrong) != 1 || wrong[0].Field != c.wrong || !strings.HasPrefix(wrong[0].Allowed, "must be ") {
				t.Errorf("%+v: wrong %+v", c.text, wrong)
			}
			continue
		}
		if !got.Since.Equal(c.want.Since) || !got.Until.Equal(c.want.Until) {
			t.Errorf("%+v: since %s until %s", c.text, got.Since, got.Until)
		}
		got.Since, got.Until, c.want.Since, c.want.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if got != c.want || len(wrong) > 0 {
			t.Errorf("%+v: %+v, wrong %+v", c.text, got, wrong)
		}
	}
}

func TestParseSpan(t *testing.T) {
	t.Parallel()
	for text, has := range map[string][]int{"": {0, 1, 2, 3}, "0": {0}, "1-2": {1, 2}, "2+": {2, 3}, "2-2": {2}} {
		span, err := dlq.ParseSpan(text)
		var got []int
		for n := range 4 {
			if span.Has(n) {
				got = append(got, n)
			}
		}
		if err != nil || !slices.Equal(got, has) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "-1", "2-1", "1-", "+", "1+2", "1-2+"} {
		if _, err := dlq.ParseSpan(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// A filter is the same as looking at every letter; a limit keeps the newest.
func TestFilterInTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var letters []dlq.Letter
	for i := range 500 {
		letters = append(letters, dlq.Letter{
			Provider: []string{"clevertap", "courier"}[i%2], Code: []string{"531", "534", "http_400"}[i%3],
			Reason: []string{"stale", "a number 17"}[i/3%2],
		})
	}
	w.put(letters...)
	if err := w.reader().Remove(t.Context(), 250); err != nil {
		t.Fatal(err)
	}
	all := w.stored()
	rapid.Check(t, func(r *rapid.T) {
		f := dlq.Filter{
			Provider: rapid.SampledFrom([]string{"", "clevertap", "courier"}).Draw(r, "provider"),
			Code:     rapid.SampledFrom([]string{"", "531", "534", "530"}).Draw(r, "code"),
			Reason:   rapid.SampledFrom([]string{"", "stale", "number #"}).Draw(r, "reason"),
			Limit:    rapid.IntRange(0, 120).Draw(r, "limit"),
		}
		if rapid.Bool().Draw(r, "since") {
			f.Since = noon().Add(time.Duration(rapid.IntRange(0, 510).Draw(r, "minutes")) * time.Minute)
		}
		through := uint64(rapid.IntRange(0, 520).Draw(r, "through"))
		var want []uint64
		for _, l := range all {
			if f.Match(l) && l.Seq <= through {
				want = append(want, l.Seq)
			}
		}
		if f.Limit > 0 {
			want = want[max(0, len(want)-f.Limit):]
		}
		var got, backwards []uint64
		for l, err := range w.reader().Letters(t.Context(), f, through, dlq.Headers) {
			if err != nil {
				r.Fatal(err)
			}
			got = append(got, l.Seq)
		}
		for l, err := range w.reader().Newest(t.Context(), f, through+1, dlq.Headers) {
			if err != nil {
				r.Fatal(err)
			}
			backwards = append(backwards, l.Seq)
		}
		slices.Reverse(backwards)
		if !slices.Equal(got, want) || !slices.Equal(backwards, want) {
			r.Fatalf("%+v through %d:\nwant     %v\nforward  %v\nbackward %v", f, through, want, got, backwards)
		}
	})
}

// stored is all letters.
func (w *world) stored() []*dlq.Stored {
	w.t.Helper()
	var list []*dlq.Stored
	for l, err := range w.reader().Letters(w.t.Context(), dlq.Filter{}, dlq.End, dlq.Whole) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}
