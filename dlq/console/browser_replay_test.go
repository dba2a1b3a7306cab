package console_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

const (
	stale    = "CleverTap 531: Invalid token data"
	noObject = "CleverTap: 530: Token data is incorrect. Invalid objectId. Skipped record number : 7"
)

// marked marks the page that a tab shows now; the function that it returns
// fails the test when that has been loaded anew.
func marked(t *testing.T, tab *browsertest.Tab) (same func()) {
	t.Helper()
	tab.Eval("window.marked = true")
	return func() {
		t.Helper()
		if tab.Eval("window.marked === true") != true {
			t.Error("the page was loaded anew")
		}
	}
}

// refuse lets a provider's double refuse the tokens that contain a text.
func (w *world) refuse(provider, code, text string) {
	w.T.Helper()
	if err := w.Fake.AddRules(sandbox.Rule{Name: text, Provider: provider, Token: sandbox.Match{Contains: text}, Effect: sandbox.Refuse, Code: code}); err != nil {
		w.T.Fatal(err)
	}
}

// tokens counts how often each token is among records.
func tokens(records []sandbox.Record) map[string]int {
	counts := map[string]int{}
	for _, r := range records {
		counts[r.Token]++
	}
	return counts
}

// once fails the test unless the double accepted each of so many tokens once.
func (w *world) once(provider string, want int) {
	w.T.Helper()
	accepted := tokens(w.Fake.Accepted(provider))
	for token, n := range accepted {
		if n != 1 {
			w.T.Errorf("%s was accepted %d times", token, n)
		}
	}
	if len(accepted) != want {
		w.T.Errorf("%d tokens were accepted at %s, want %d", len(accepted), provider, want)
	}
}

func TestBrowserTrialPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead("clevertap", "531", stale, names("a", 40)...)...)
	browser := browsertest.New(t)
	overview := w.logIn(browser.Tab(t), "Ada")
	contains(t, "the overview's head", overview.Text("#groups-head"), "40 letters in 1 group")
	same := marked(t, overview)

	tab := browser.Tab(t)
	tab.Open(w.url("/"))
	tab.Click("a.reason >> Invalid token data")
	tab.Click("#act button >> Replay…")
	tab.WaitText("#state .question", "Replay 40 letters, up to 5 of each group first?")
	contains(t, "the preview", tab.Text("#rows > li"), "CleverTap 531", "40 letters", "Invalid token data")
	contains(t, "whose job it is", tab.Text("#parts"), "by Ada")
	equal(t, "calls before anybody agreed", w.Fake.Report().CleverTap.Calls, 0)
	equal(t, "letters before anybody agreed", w.letters(), 40)

	tab.Click("#agree")
	here := marked(t, tab)
	tab.WaitText("#state .pill", "done")
	here()
	contains(t, "the summary", tab.Text("#state .question"), "40 letters: 40 replayed (40 delivered), 0 left")
	contains(t, "what became of the group", tab.Text("#rows > li"), "trial passed: 5 replayed, none died", "40 delivered")
	equal(t, "what can still be clicked", tab.Count("#state button"), 0)
	w.once(sandbox.CleverTap, 40)
	equal(t, "letters", w.letters(), 0)
	overview.WaitText("#groups", "No letters")
	overview.WaitText("#jobs", "40 letters: 40 replayed (40 delivered), 0 left")
	overview.WaitText("#flow-clevertap figure", "delivered 40")
	same()
	contains(t, "the log", w.log.String(), `msg="console: replay begins" operator=Ada`, `msg="console: replay ended" operator=Ada`)
}

func TestBrowserTrialFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse(sandbox.CleverTap, "530", "broken")
	w.worker()
	w.Die(dead("clevertap", "530", noObject, names("broken", 30)...)...)
	w.Die(dead("clevertap", "531", stale, names("fine", 20)...)...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Open(w.url("/letters"))
	order(tab, "Replay…")
	contains(t, "the question", tab.Text("#state .question"), "Replay 50 letters, up to 5 of each group first?")
	equal(t, "groups of the preview", tab.Count("#rows > li"), 2)
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done, with something left")

	failed, passed := "#rows > li >> CleverTap 530", "#rows > li >> CleverTap 531"
	contains(t, "the group that still fails", tab.Text(failed), "30 letters", "TRIAL FAILED: 5 replayed, 5 died again (", "5 died again (530: ", "Invalid objectId", "25 left: ")
	contains(t, "the group that is cured", tab.Text(passed), "20 letters", "trial passed: 5 replayed, none died", "20 delivered")
	equal(t, "lines that are marked as bad", tab.Count("#rows .line.bad"), 1)
	equal(t, "the bad line's beginning", strings.HasPrefix(tab.Text("#rows .line.bad"), "TRIAL FAILED"), true)
	w.once(sandbox.CleverTap, 20)
	refused := tokens(w.Fake.Refused(sandbox.CleverTap))
	equal(t, "tokens of the failing group that were tried", len(refused), 5)
	for token, n := range refused {
		equal(t, "tries of "+token, n, 1)
	}
	equal(t, "letters", w.letters(), 30)
	tab.Click("a >> To the overview")
	tab.WaitText("#groups-head", "30 letters in 1 group")
	tab.WaitText("#jobs", "50 letters: 25 replayed (20 delivered, 5 died again), 25 left")
	contains(t, "the cure of what is left", tab.Text(".groups"), "CleverTap 530", "30 letters", "Cure ")
}

func TestBrowserTwoTabs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead("clevertap", "531", stale, names("a", 25)...)...)
	browser := browsertest.New(t)
	one := w.logIn(browser.Tab(t), "Ada")
	one.Open(w.url("/letters"))
	job := order(one, "Replay…")
	two, old, other := browser.Tab(t), browser.Tab(t), browser.Incognito(t)
	two.Open(job)
	two.Wait("#agree")
	same := marked(t, two)
	old.NoScript() // and so it keeps its button
	old.Open(job)
	w.logIn(other, "Grace").Open(job)
	contains(t, "whose job another operator sees", other.Text("#parts"), "by Ada")
	contains(t, "who the other operator is", other.Text("header"), "Grace")

	one.Click("#agree")
	for _, tab := range []*browsertest.Tab{one, two, other} {
		tab.WaitText("#state .pill", "done")
		contains(t, "the end in each tab", tab.Text("#state .question"), "25 letters: 25 replayed (25 delivered), 0 left")
		contains(t, "the operator in each tab", tab.Text("#parts"), "by Ada")
	}
	same()
	contains(t, "the stale tab", old.Text("#agree"), "Replay")
	old.Click("#agree")
	equal(t, "where the stale click leads", old.URL(), job)
	contains(t, "what it shows", old.Text("#state .question"), "25 letters: 25 replayed (25 delivered), 0 left")
	equal(t, "replays in the log", strings.Count(w.log.String(), "console: replay begins"), 1)

	other.Click("a >> To the overview")
	equal(t, "jobs on the overview", other.Count("#jobs li"), 1)
	contains(t, "the job on another operator's overview", other.Text("#jobs li"), "Replay", "by Ada")
	w.once(sandbox.CleverTap, 25)
	equal(t, "letters", w.letters(), 0)
}

func TestBrowserReloadAndStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead("clevertap", "531", stale, names("a", 60)...)...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Open(w.url("/letters"))
	tab.Click("summary >> How to replay")
	tab.Fill("#rate", "5")
	job := order(tab, "Replay…")
	tab.Click("#agree")
	tab.Wait("progress")
	done := func() int {
		t.Helper()
		at, _, found := strings.Cut(tab.Text("#state .hint"), " of 60")
		n, err := strconv.Atoi(at)
		if !found || err != nil {
			t.Fatalf("the progress reads %q", tab.Text("#state .hint"))
		}
		return n
	}
	brokertest.Eventually(t, "some are delivered", func() bool { return done() > 5 })
	before := done()
	tab.Reload()
	equal(t, "the page after a reload", tab.URL(), job)
	contains(t, "the state after a reload", tab.Text("#state .pill"), "running")
	if now := done(); now < before {
		t.Errorf("after the reload %d are done, before it %d", now, before)
	}
	same := marked(t, tab)
	brokertest.Eventually(t, "it goes on", func() bool { return done() > before })
	contains(t, "the progress in words", tab.Text("#state"), " delivered, 0 died again")
	same()

	tab.Click("#stop")
	tab.WaitText("#state .pill", "stopped")
	equal(t, "the page after the stop", tab.URL(), job)
	found := regexp.MustCompile(`^60 letters: (\d+) replayed \((\d+) delivered(?:, (\d+) waiting)?\), (\d+) left$`).FindStringSubmatch(tab.Text("#state .question"))
	if found == nil {
		t.Fatalf("the summary reads %q", tab.Text("#state .question"))
	}
	var n [4]int
	for i, figure := range found[1:] {
		n[i], _ = strconv.Atoi(figure) // none waits, as a rule
	}
	replayed, delivered, waiting, left := n[0], n[1], n[2], n[3]
	if replayed != delivered+waiting || replayed+left != 60 || replayed <= before || left == 0 {
		t.Errorf("the sum is wrong, when %d were delivered before: %s", before, found[0])
	}
	contains(t, "what is said of the rest", tab.Text("#state"), "It was stopped before its end. What was left is still a letter")
	contains(t, "what became of the group", tab.Text("#rows"), fmt.Sprint(delivered, " delivered"), fmt.Sprint(left, " left: "))
	brokertest.Eventually(t, "what waited is delivered", func() bool { return w.Fake.Report().CleverTap.Accepted >= replayed })
	w.once(sandbox.CleverTap, replayed)
	equal(t, "letters", w.letters(), left)
	contains(t, "the log", w.log.String(), `msg="console: replay is stopped" operator=Ada`)
}
