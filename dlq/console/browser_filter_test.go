package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// lettersOf are the letters that a page lists.
const lettersOf = "ul#letters > li"

func TestBrowserFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", "CleverTap 531: Invalid token data", names(amber, 3)...)...)
	w.Die(dead("clevertap", "530", "CleverTap 530: Invalid objectId", names(amber+"o", 2)...)...)
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", names(amber+"c", 4)...)...)
	old := dead("courier", "expired", "waited too long", amber+"old")
	old[0].FailedAt = time.Now().Add(-72 * time.Hour)
	again := dead("courier", "http_404", "Courier 404: no such user", amber+"again")
	again[0].Replayed = true
	again[0].Header = nats.Header{dlq.HeaderID: {"courier:1:1"}, dlq.HeaderGeneration: {"2"}}
	w.Die(append(old, again...)...)
	hidden := personal{amber}
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")

	// The form is filled by hand once; what it leads to is an address.
	tab.Open(w.url("/letters"))
	tab.Click("summary >> Choose letters")
	for name, value := range map[string]string{"provider": "CleverTap", "code": "531", "reason": "invalid", "generation": "0"} {
		tab.Fill("form[method=get] [name="+name+"]", value)
	}
	tab.Click("button >> Show")
	equal(t, "letters by the form", tab.Count(lettersOf+" >> Invalid token data"), 3)
	contains(t, "the choice in words", tab.Text("details.card > summary"), "CleverTap 531, “invalid”, generation 0")
	choose := func(fields []string) (where string) {
		t.Helper()
		query := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			query.Set(fields[i], fields[i+1])
		}
		tab.Open(w.url("/letters?" + query.Encode()))
		where = "letters by " + strings.Join(fields, " ")
		hidden.hiddenIn(t, tab, where)
		return where
	}
	for _, c := range []struct {
		fields []string
		count  int
		says   string
		reads  string // what each of them reads
	}{
		{[]string{"provider", "courier"}, 6, "Courier", "Courier"},
		{[]string{"code", "530"}, 2, "530", "CleverTap 530"},
		{[]string{"code", "no_such"}, 0, "no_such", ""},
		{[]string{"reason", "OBJECTid"}, 2, "“OBJECTid”", "Invalid objectId"},
		{[]string{"since", "24h"}, 10, "since 24h", ""},
		{[]string{"until", "2d"}, 1, "until 2d", "Courier expired"},
		{[]string{"generation", "1-3"}, 1, "generation 1-3", "replayed twice"},
		{[]string{"code", "531", "reason", "invalid"}, 3, "531, “invalid”", "Invalid token data"},
	} {
		where := choose(c.fields)
		equal(t, where, tab.Count(lettersOf), c.count)
		equal(t, "those of them that read "+c.reads, tab.Count(lettersOf+" >> "+c.reads), c.count)
		contains(t, "the choice in words", tab.Text("details.card > summary"), "Choose letters: letters: ", c.says)
		contains(t, "the buttons' choice in words", tab.Text("#act"), c.says)
		for i := 0; i < len(c.fields); i += 2 { // it can be refined
			equal(t, "the field "+c.fields[i]+" afterwards", strings.ToLower(tab.Text("form[method=get] [name="+c.fields[i]+"]")), strings.ToLower(c.fields[i+1]))
		}
		if c.count == 0 {
			tab.WaitText("#letters", "No letters like these.")
		}
	}
	tab.Click("a >> Show all")
	equal(t, "all letters", tab.Count(lettersOf), 11)

	tab.Expect("status 422")
	for _, c := range []struct{ field, value, says string }{
		{"since", "yesterday", "Since is “yesterday”, it must be a time such as 2026-01-31T12:00:00Z, a day such as 2026-01-31, or how long ago such as 90m, 24h or 7d"},
		{"until", "-5h", "Until is “-5h”, it must be a time"},
		{"generation", "often", "Generation is “often”, it must be"},
		{"code", "No Code", "Code is “No Code”, it must be a code such as 531, http_400 or invalid_event"},
	} {
		choose([]string{c.field, c.value})
		contains(t, "what is wrong", tab.Text("[role=alert]"), c.says)
		equal(t, "the sentences about what is wrong", tab.Count("[role=alert]"), 1)
		equal(t, "letters all the same", tab.Count(lettersOf), 0)
		equal(t, "buttons to replay them", tab.Count("#act"), 0)
		equal(t, "the wrong value, to be corrected", tab.Text("[name="+c.field+"]"), c.value)
	}

	for _, c := range []struct {
		field, value string
		count        int
	}{
		{"token", "token-amberc0001", 1},
		{"user", "user-amber0002", 1},
		{"object", "object-amberold", 1},
		{"user", "user-ambernobody", 0},
	} {
		tab.Open(w.url("/letters"))
		tab.Click("summary >> Choose letters")
		tab.Fill("#find-"+c.field, c.value)
		tab.Click("button >> Find this person's")
		where := "letters of the " + c.field
		equal(t, where, tab.Count(lettersOf), c.count)
		contains(t, "the choice in words", tab.Text("details.card > summary"), "of one person")
		hidden.hiddenIn(t, tab, where)
		contains(t, "its address", tab.URL(), "/letters?person=")
	}
	tab.Fill("form[method=get] [name=provider]", "CleverTap") // the person stays chosen
	tab.Click("button >> Show")
	contains(t, "the refined choice", tab.Text("details.card > summary"), "CleverTap, of one person")
	equal(t, "letters of nobody", tab.Count(lettersOf), 0)
	hidden.absent(t, "the log", w.log.String())

	// Whoever logs in next in this browser does not find whom Ada looked for.
	address := tab.URL()
	tab.Click("button >> Log out")
	w.logIn(tab, "Grace")
	tab.Open(address)
	contains(t, "what is wrong", tab.Text("[role=alert]"), "Whom you searched for is forgotten: search again")
	equal(t, "letters of a forgotten search", tab.Count(lettersOf), 0)
}
