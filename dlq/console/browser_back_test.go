package console_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// back goes back in a tab's history, to where the other page is shown.
func back(tab *browsertest.Tab, selector string) {
	tab.Back()
	tab.Wait(selector)
}

// Personal values that were revealed do not come back without a click and a
// line in the log.
func TestBrowserBackToRevealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	letter := dead("clevertap", "531", stale, amber)
	letter[0].Header = map[string][]string{"X-Device": {amber + "-phone"}}
	w.Die(letter...)
	hidden := personal{amber}
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	reveals := 0
	reveal := func() {
		t.Helper()
		tab.Click("#reveal")
		tab.WaitText("#event", "token-"+amber)
		contains(t, "the revealed header", tab.Text("section >> Headers"), amber+"-phone")
		hidden.absent(t, "the address of a revealed letter", tab.URL())
		reveals++
	}
	veiled := func(where string) {
		t.Helper()
		tab.Wait("#reveal")
		contains(t, where, tab.Text("#event"), `"token": "#`)
		hidden.hiddenIn(t, tab, where)
		equal(t, "reveals in the log", strings.Count(w.log.String(), "revealed"), reveals)
	}
	tab.Open(w.url("/letters/1"))
	reveal()
	tab.Click("nav a >> Letters")
	tab.Wait("#letters")
	back(tab, "#event")
	veiled("the letter, back from the letters")

	reveal()
	tab.Click("a >> Hide them")
	veiled("the letter that was hidden again")
	back(tab, "#event")
	veiled("the letter, back from where it was hidden")

	reveal()
	tab.Reload()
	veiled("the letter after a reload")
}

// Without script nothing takes them away, and the browser keeps no page that
// answered a form: it asks whether to send that again, which would be logged.
func TestBrowserBackWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", stale, amber)...)
	tab := browsertest.New(t).Tab(t)
	tab.NoScript()
	w.logIn(tab, "Ada")
	for _, leave := range []string{"nav a >> Letters", "a >> Hide them"} {
		tab.Open(w.url("/letters/1"))
		tab.Click("#reveal")
		contains(t, "the revealed event", tab.Text("#event"), "token-"+amber)
		tab.Click(leave)
		tab.Expect("net::ERR_CACHE_MISS")
		tab.Back()
		brokertest.Eventually(t, "the browser shows a question of its own", func() bool { return strings.HasPrefix(tab.URL(), "chrome-error:") })
		personal{amber}.absent(t, "what the browser shows", tab.HTML("html"))
	}
	tab.Open(w.url("/letters/1/reveal")) // by its address alone
	contains(t, "the letter", tab.Text("#event"), `"token": "#`)
	equal(t, "reveals in the log", strings.Count(w.log.String(), "revealed"), 2)
}
