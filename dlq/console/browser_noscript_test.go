package console_test

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// refreshes is after how many seconds a page without script loads itself anew;
// 0: never.
func refreshes(tab *browsertest.Tab) any {
	return tab.Eval(`parseInt(document.querySelector("meta[http-equiv=refresh]")?.content ?? "0")`)
}

func TestBrowserWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead("clevertap", "531", stale, names(amber, 30)...)...)
	tab := browsertest.New(t).Tab(t)
	tab.NoScript()
	w.logIn(tab, "Ada")
	equal(t, "seconds until the overview loads itself anew", refreshes(tab), any(10.0))
	contains(t, "the groups", tab.Text("#groups"), "30 letters in 1 group", "CleverTap 531", "Means ", "Cure ")
	contains(t, "the flow", tab.Text("#flow-clevertap"), "waiting", "delivered a second", "permits in use")
	equal(t, "complaints that the console does not answer", tab.Eval(`document.querySelector("#lost").hidden`), any(true))
	tab.Check("the overview without script")

	tab.Click("a.reason >> Invalid token data")
	contains(t, "the group", tab.Text("#group-head"), "30 letters")
	equal(t, "its letters", tab.Count(lettersOf), 30)
	equal(t, "seconds until the letters load themselves anew", refreshes(tab), any(0.0)) // somebody types here
	tab.Click("#letters a")
	contains(t, "the letter", tab.Text("#event"), `"token": "#`)
	tab.Click("#reveal")
	contains(t, "the revealed letter", tab.Text("#event"), "token-amber")
	tab.Click("a >> Hide them")
	contains(t, "the letter hidden again", tab.Text("#event"), `"token": "#`)

	tab.Click("a >> All letters of its group")
	tab.Click("summary >> How to replay")
	tab.Fill("#rate", "20")
	order(tab, "Replay…")
	equal(t, "seconds until the question loads itself anew", refreshes(tab), any(0.0))
	contains(t, "the question", tab.Text("#state .question"), "Replay 30 letters, up to 5 of each group first?")
	tab.Check("a question without script")
	tab.Click("#agree")
	contains(t, "the state", tab.Text("#state .pill"), "running")
	equal(t, "seconds until the progress loads itself anew", refreshes(tab), any(3.0))
	tab.WaitText("#state .pill", "done")
	contains(t, "the end", tab.Text("#parts"), "30 letters: 30 replayed (30 delivered), 0 left", "trial passed: 5 replayed, none died")
	equal(t, "seconds until the end loads itself anew", refreshes(tab), any(0.0))
	w.once(sandbox.CleverTap, 30)
	tab.Click("a >> To the overview")
	contains(t, "the groups afterwards", tab.Text("#groups"), "No letters")
}
