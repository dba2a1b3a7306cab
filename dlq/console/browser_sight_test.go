package console_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// checked looks at a page as it is shown on both screens, in light and dark.
func checked(tab *browsertest.Tab, where string) {
	for _, dark := range []bool{false, true} {
		tab.Dark(dark)
		scheme := map[bool]string{false: "light", true: "dark"}[dark]
		tab.Desktop()
		tab.Check(where + ", desktop, " + scheme)
		tab.Phone()
		tab.Check(where + ", phone, " + scheme)
	}
}

// What must be read fits a phone and is seen by eyes that are not the best,
// however long the words are.
func TestBrowserSight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *console.Settings) { s.Password = func() string { return "the right one" } })
	long := strings.Repeat("an/unbroken/word", 12)
	w.refuse(sandbox.CleverTap, "530", "broken")
	w.refuseCredentials()
	w.Die(dead("clevertap", "530", noObject, names("broken", 7)...)...)
	w.Die(dead("clevertap", "531", stale, names("fine"+strings.Repeat("x", 200), 55)...)...)
	w.Die(dead("courier", "http_400", long, "long")...)
	longest := dead("courier", "http_422", "Courier 422: "+long, strings.Repeat("é", 400))
	longest[0].Header = map[string][]string{"X-" + strings.Repeat("Long", 30): {long}}
	w.Die(longest...)

	tab := browsertest.New(t).Tab(t)
	tab.Open(w.url("/erase"))
	tab.Wait("#password")
	checked(tab, "the login")
	tab.Expect("status 403")
	tab.Fill("#name", strings.Repeat("W", 64))
	tab.Fill("#password", "a wrong one")
	tab.Click("button >> Log in")
	tab.WaitText("[role=alert]", "The password is wrong")
	checked(tab, "the refused login")
	tab.Fill("#password", "the right one")
	tab.Click("button >> Log in")
	tab.WaitText("h1", "Erase a person")
	checked(tab, "the page to erase")
	equal(t, "whether “Log out” is in one line beside a long name", tab.Eval(`document.querySelector("header button").clientHeight < 40`), any(true)) // on a phone

	w.worker("HOLD_MIN=4m", "PROVIDERS=clevertap,courier")
	w.Put(registration("waits"))
	tab.Open(w.url("/"))
	tab.Wait("#held-courier")
	checked(tab, "the overview with a hold")
	tab.Open(w.url("/letters"))
	tab.Click("summary >> How to replay")
	tab.Click("summary >> Choose letters")
	checked(tab, "the letters")
	tab.Click("#letters a >> Courier http_422")
	checked(tab, "a letter")
	tab.Click("#reveal")
	checked(tab, "a revealed letter")
	tab.Click("a >> All letters of its group")
	checked(tab, "a group")
	order(tab, "Purge…")
	checked(tab, "the preview of a purge")
	tab.Click("button >> Do nothing")
	tab.WaitText("#state .pill", "withdrawn")
	checked(tab, "a job that was stopped")
	tab.Open(w.url("/letters?provider=clevertap"))
	order(tab, "Replay…")
	checked(tab, "the preview of a replay")
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done, with something left")
	contains(t, "the end of the replay", tab.Text("#rows"), "TRIAL FAILED", "55 delivered")
	checked(tab, "a replay with a failed trial")
	tab.Click("a >> To the overview")
	tab.WaitText("#jobs", "with something left")
	checked(tab, "the overview with jobs")
	tab.Click("#resume-courier")
	tab.Wait(".alert.good")
	checked(tab, "the overview with a message")

	tab.Expect("status 422")
	tab.Expect("status 404")
	tab.Open(w.url("/letters?since=" + long))
	checked(tab, "a wrong filter")
	tab.Open(w.url("/letters/4711"))
	checked(tab, "a page that is not there")
}
