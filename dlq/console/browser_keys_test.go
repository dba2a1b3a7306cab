package console_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// keyboard is a person without a mouse.
type keyboard struct {
	*browsertest.Tab
	t *testing.T
}

// typed presses the keys of a word.
func (k keyboard) typed(word string) {
	k.t.Helper()
	for key := range strings.SplitSeq(word, "") {
		k.Press(key)
	}
}

// to presses Tab until the focus is at an element; at each stop it must be
// seen.
func (k keyboard) to(name string) {
	k.t.Helper()
	var stops []string
	for range 60 {
		k.Press("Tab")
		at := k.Focused()
		if at != "body" { // where the page ends and begins
			k.seen(at)
		}
		if strings.Contains(at, name) {
			return
		}
		stops = append(stops, at)
	}
	k.t.Fatalf("Tab does not lead to %s, but to %s", name, strings.Join(stops, ", "))
}

// seen fails the test unless the focus is marked, inside the window.
func (k keyboard) seen(at string) {
	k.t.Helper()
	found := k.Eval(`(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		if (e === document.body) return "nothing has the focus";
		if (!e.matches(":focus-visible") || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "its focus is not marked";
		if (box.width < 1 || box.height < 1 || box.right <= 0 || box.bottom <= 0 || box.left >= innerWidth || box.top >= innerHeight) return "it is outside the window";
		return "";
	})()`)
	if found != "" {
		k.t.Errorf("%s: %s", at, found)
	}
}

// updates waits until the live parts of the page have changed so often.
func updates(t *testing.T, tab *browsertest.Tab, times float64) {
	t.Helper()
	tab.Eval(`window.updates = 0;
		new MutationObserver(() => window.updates++).observe(document.getElementById("parts"), {subtree: true, childList: true, characterData: true, attributes: true})`)
	brokertest.Eventually(t, "the page is updated", func() bool { return tab.Eval("window.updates").(float64) >= times })
}

func TestBrowserKeyboardAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead("clevertap", "531", stale, names("a", 12)...)...)
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", names("b", 3)...)...)
	k := keyboard{browsertest.New(t).Tab(t), t}
	k.Open(w.url("/"))
	equal(t, "the focus of the login", k.Focused(), "input#name")
	k.typed("Ada")
	k.Press("Enter")
	k.WaitText("h1", "Flow and letters")
	k.Press("Tab")
	contains(t, "the first stop", k.Focused(), "To the content")
	k.seen("the skip link")
	k.Press("Enter")
	equal(t, "where it skips to", k.Focused(), "main#main")
	k.to("Invalid token data") // the group, past the figures
	if strings.Contains(k.Focused(), "Overview") {
		t.Error("the skip link skips nothing")
	}
	k.Press("Enter")
	k.WaitText("#group-head", "CleverTap 531")
	k.to("To the content")
	k.Press("Enter")
	k.to("Replay…")
	k.Press("Enter")
	k.Wait("#agree")
	k.to("button#agree")
	k.Press("Enter")
	k.WaitText("#state .pill", "done")
	w.once(sandbox.CleverTap, 12)
	k.to("To the overview")
	k.Press("Enter")
	k.WaitText("#groups-head", "3 letters in 1 group")

	k.to("Courier http_400")
	k.Press("Enter")
	k.to("Purge…")
	k.Press("Enter")
	k.Wait("#agree")
	k.to("input#final")
	k.Press("Space")
	k.Press("Enter")
	k.WaitText("#state .pill", "done")
	equal(t, "letters", w.letters(), 0)
	k.Press("Shift+Tab") // the page is new, and so this is its last stop
	contains(t, "the last stop", k.Focused(), "To the overview")
}

// Whoever has the focus on a button keeps it while the page changes around it.
func TestBrowserFocusStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuseCredentials()
	w.worker("HOLD_MIN=4m")
	w.Die(dead("clevertap", "531", stale, names("a", 200)...)...)
	w.Die(dead("clevertap", "530", noObject, names("b", 2)...)...)
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", "c")...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	k := keyboard{tab, t}
	// The last group overtakes the one before it.
	k.to("unknown provider_key")
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", names("d", 2)...)...)
	tab.WaitText(".groups > li:nth-child(2)", "Courier http_400 3 letters")
	contains(t, "the focus after a group moved", tab.Focused(), "unknown provider_key")
	k.seen("the group that moved")
	contains(t, "what stands behind it", tab.Text(".groups > li:nth-child(3)"), "CleverTap 530", "2 letters")

	w.Put(registration("waits"))
	tab.Wait("#resume-courier")
	k.to("button#resume-courier")
	same := marked(t, tab)
	updates(t, tab, 2)
	equal(t, "the focus after two updates", tab.Focused(), "button#resume-courier")
	k.seen("the button of the alert")
	// Another alert comes before this one.
	if err := w.Fake.AddRules(sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Status, Status: 401}); err != nil {
		t.Fatal(err)
	}
	w.Put(registration("waitstoo"))
	tab.Wait("#resume-clevertap")
	equal(t, "the focus after another alert", tab.Focused(), "button#resume-courier")
	k.seen("the button of the second alert")
	same()
	w.Fake.ClearRules()
	tab.Press("Enter")
	tab.WaitText(".alert.good", "Courier goes on")
	tab.Click("#resume-clevertap")
	tab.Gone("#held-clevertap")

	tab.Open(w.url("/letters"))
	tab.Click("summary >> How to replay")
	tab.Fill("#rate", "20")
	order(tab, "Replay…")
	tab.Click("#agree")
	tab.Wait("progress")
	k.to("button#stop")
	updates(t, tab, 2)
	equal(t, "the focus after two updates of the progress", tab.Focused(), "button#stop")
	k.seen("the button to stop")
	tab.Press("Enter")
	tab.WaitText("#state .pill", "stopped")
}
