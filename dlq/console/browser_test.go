package console_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// logIn makes of a tab that of somebody who has just logged in, at the overview.
func (w *world) logIn(tab *browsertest.Tab, name string) *browsertest.Tab {
	w.T.Helper()
	tab.Open(w.url("/"))
	tab.Fill("#name", name)
	tab.Click("button >> Log in")
	tab.Wait("#groups")
	return tab
}

// order goes from a list of letters to the job that one of its buttons makes,
// waits until that asks, and returns the job's page.
func order(tab *browsertest.Tab, button string) string {
	tab.Click("#act button >> " + button)
	tab.Wait("#agree")
	return tab.URL()
}

// personal are the words that a page or a log must not have.
type personal []string

// hiddenIn fails the test when the page shows one of them, or its address does.
func (p personal) hiddenIn(t *testing.T, tab *browsertest.Tab, where string) {
	t.Helper()
	p.absent(t, where, tab.HTML("html"))
	p.absent(t, "the address of "+where, tab.URL())
}

func (p personal) absent(t *testing.T, where, text string) {
	t.Helper()
	for _, word := range p {
		if at := strings.Index(text, word); at >= 0 {
			t.Errorf("%s has the personal %q: …%s…", where, word, text[max(0, at-60):min(len(text), at+60)])
		}
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q: %s", what, part, text)
		}
	}
}

// amber is in every personal value of some tests' letters, and nowhere else.
const amber = "amber"

// shown is a text as the page has it, where commands stand in another type.
func shown(text string) string { return strings.ReplaceAll(text, "`", "") }

func TestBrowserBrowse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := dead("clevertap", "531", "CleverTap 531: Invalid token data", names(amber, 120)...)
	for i := range many { // so that the pages can be told to be complete
		many[i].OriginSeq = uint64(5000 + i)
	}
	many[119].Header = map[string][]string{"X-Device": {amber + "-phone"}}
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", names(amber+"c", 3)...)...)
	w.Die(dead("clevertap", "530", "CleverTap 530: Invalid objectId", names(amber+"o", 2)...)...)
	w.Die(many...)
	hidden := personal{amber}
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada Lovelace")

	contains(t, "the overview's head", tab.Text("#groups-head"), "125 letters in 3 groups")
	contains(t, "CleverTap's card", tab.Text("#flow-clevertap"), "CleverTap", "no worker")
	contains(t, "Courier's card", tab.Text("#flow-courier"), "Courier", "no worker")
	tab.WaitText("#flow-clevertap .first >> letters", "122") // the watch asks every two seconds
	tab.WaitText("#flow-courier .first >> letters", "3")
	for code, count := range map[string]string{"CleverTap 531": "120 letters", "CleverTap 530": "2 letters", "Courier http_400": "3 letters"} {
		provider, number, _ := strings.Cut(code, " ")
		means := dlq.Explain(strings.ToLower(provider), number)
		contains(t, "the group "+code, tab.Text(".groups > li >> "+code), count, "Means "+shown(means.Means), "Cure "+shown(means.Cure))
	}
	contains(t, "who is logged in", tab.Text("header"), "Ada Lovelace")
	hidden.hiddenIn(t, tab, "the overview")

	tab.Click("a.reason >> Invalid token data")
	contains(t, "the group's head", tab.Text("#group-head"), "CleverTap 531", "120 letters")
	var seen []string
	for _, want := range []int{50, 50, 20} {
		hidden.hiddenIn(t, tab, "a page of letters")
		var page []string
		for _, link := range tab.Eval(`[...document.querySelectorAll("#letters a")].map(a => a.getAttribute("href"))`).([]any) {
			page = append(page, link.(string))
		}
		equal(t, "the length of a page", len(page), want)
		seen = append(seen, page...)
		if want == 50 {
			tab.Click("a[rel=next]")
		}
	}
	equal(t, "links to a further page", tab.Count("a[rel=next]"), 0)
	slices.Sort(seen)
	equal(t, "the letters on all pages", len(slices.Compact(seen)), 120)

	tab.Click("a >> To the newest")
	tab.Click("#letters a >> CleverTap 531")
	tab.Wait("#event")
	hidden.hiddenIn(t, tab, "a letter")
	contains(t, "the letter", tab.Text("main"), "CleverTap 531", shown(dlq.Explain("clevertap", "531").Cure), "sequence 5119", "never", "X-Device")
	contains(t, "its event", tab.Text("#event"), `"token": "#`, `"user_id": "#`, `"object_id": "#`, `"type": "fcm"`)
	contains(t, "the log before", w.log.String(), `logged in" operator="Ada Lovelace"`)
	if strings.Contains(w.log.String(), "revealed") {
		t.Error("the log says that something was revealed")
	}

	tab.Click("#reveal")
	tab.WaitText(".alert", "Personal values are shown")
	contains(t, "the revealed event", tab.Text("#event"), "token-amber0119", "user-amber0119", "object-amber0119")
	contains(t, "the revealed header", tab.Text("section >> Headers"), "amber-phone")
	hidden.absent(t, "the address of a revealed letter", tab.URL())
	tab.Reload()
	tab.Wait("#reveal")
	hidden.hiddenIn(t, tab, "the letter after a reload")
	equal(t, "reveals in the log", strings.Count(w.log.String(), `msg="console: revealed" operator="Ada Lovelace" letter=clevertap:`), 1)
	hidden.absent(t, "the log", w.log.String())
}
