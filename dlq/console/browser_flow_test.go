package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// refuseCredentials lets Courier's double answer every call with a 401.
func (w *world) refuseCredentials() {
	w.T.Helper()
	if err := w.Fake.AddRules(sandbox.Rule{Name: "401", Provider: sandbox.Courier, Effect: sandbox.Status, Status: http.StatusUnauthorized}); err != nil {
		w.T.Fatal(err)
	}
}

func TestBrowserResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuseCredentials()
	w.worker("HOLD_MIN=4m")
	browser := browsertest.New(t)
	tab := w.logIn(browser.Tab(t), "Ada")
	watching := browser.Tab(t)
	watching.Open(w.url("/"))
	contains(t, "the overview", watching.Text("#flow-courier h2"), "nothing waits")
	equal(t, "alerts before", watching.Count("#alerts > *"), 0)
	same := marked(t, watching)

	for _, name := range names("e", 10) {
		w.Put(registration(name))
	}
	watching.WaitText("#held-courier", "Courier is held")
	contains(t, "the hold in words", watching.Text("#held-courier"), "refuses our credentials: look at the variables with its key", "Events wait and none dies.",
		"The next try is in", "Resume Courier now")
	watching.WaitText("#flow-courier .pill", "held")
	watching.WaitText("#flow-courier .first >> waiting", "10")
	watching.WaitText("#flow-clevertap figure >> delivered", "10") // which does not notice
	equal(t, "alerts", watching.Count("#alerts > *"), 1)

	equal(t, "rules that were lifted", w.Fake.RemoveRule("401"), 1)
	tab.Click("#resume-courier")
	contains(t, "what the click did", tab.Text(".alert.good"), "Courier goes on: the hold has ended for every pod.")
	watching.Gone("#held-courier")
	brokertest.Eventually(t, "all are delivered", func() bool { return w.Fake.Report().Courier.Accepted >= 10 })
	watching.WaitText("#flow-courier figure >> delivered", "10")
	watching.WaitText("#flow-courier .first >> waiting", "0")
	watching.WaitText("#flow-courier .pill", "delivering")
	same()
	w.once(sandbox.Courier, 10)
	equal(t, "letters", w.letters(), 0)
	tab.Reload()
	equal(t, "the message after a reload", tab.Count(".alert.good"), 0)
	contains(t, "the log", w.log.String(), `msg="console: resumed" operator=Ada provider=courier was_held=true`)
}

func TestBrowserBrokerAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", stale, names("a", 3)...)...)
	browser := browsertest.New(t)
	tab := w.logIn(browser.Tab(t), "Ada")
	tab.WaitText("#flow-clevertap .first >> letters", "3")
	same := marked(t, tab)

	w.Broker.Stop()
	tab.WaitText("#away", "The broker does not answer")
	contains(t, "the alert", tab.Text("#away"), "NATS is away; the connection is being made again. The figures below are the last known.")
	contains(t, "the last known letters", tab.Text("#groups-head"), "3 letters in 1 group")
	contains(t, "the last known figures", tab.Text("#flow-clevertap"), "3")
	tab.Check("the overview without a broker")
	equal(t, "whether the console itself is away", tab.Eval(`document.querySelector("#lost").hidden`), any(true))

	other := browser.Tab(t)
	other.Expect("status 502")
	other.Open(w.url("/letters"))
	contains(t, "the letters' page without a broker", other.Text("[role=alert]"), "broker")
	other.Check("letters without a broker")

	if err := w.Broker.Restart(); err != nil {
		t.Fatal(err)
	}
	tab.Gone("#away")
	w.Die(dead("clevertap", "531", stale, "late")...)
	tab.WaitText("#flow-clevertap .first >> letters", "4")
	tab.WaitText("#groups-head", "4 letters in 1 group")
	equal(t, "alerts afterwards", tab.Count(".alert.bad:not([hidden])"), 0)
	same()
	other.Reload()
	equal(t, "letters", other.Count(lettersOf), 4)
}

// A console that is started anew knows nobody any more, and the pages that
// were open lead to its login by themselves.
func TestBrowserConsoleAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	equal(t, "whether the console is away", tab.Eval(`document.querySelector("#lost").hidden`), any(true))
	again := w.console.Settings
	again.Addr = strings.TrimSuffix(strings.TrimPrefix(w.console.URL(), "http://"), "/")
	if err := w.console.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("#lost", "The console does not answer. What you see is as old as this line; it goes on by itself when the console is back.")
	tab.Check("the overview without its console")
	const refused = "failed: GET /live"
	brokertest.Eventually(t, "the page asks again in vain", func() bool { return strings.Contains(strings.Join(tab.Problems(), "\n"), refused) })

	var err error
	if w.console, err = console.New(again); err != nil { // the world ends it
		t.Fatal(err)
	}
	if err := w.console.Start(); err != nil {
		t.Fatal(err)
	}
	tab.Expect(refused)
	tab.Expect("status 401: GET /live")
	tab.WaitText("h1", "Log in")
	w.logIn(tab, "Ada")
	w.Die(dead("clevertap", "531", stale, "late")...)
	tab.WaitText("#groups-head", "1 letter in 1 group")
}
