package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// dropStream deletes the stream of letters, with them.
func (w *world) dropStream() {
	w.T.Helper()
	if err := w.Broker.JS.DeleteStream(w.T.Context(), dlq.Stream); err != nil {
		w.T.Fatal(err)
	}
}

// remakeStream makes it again, as a worker does that starts.
func (w *world) remakeStream() {
	w.T.Helper()
	if _, err := consumer.Ensure(w.T.Context(), w.Broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		w.T.Fatal(err)
	}
}

// Whoever agrees to a question agrees to the letters that were counted, not to
// those that stand at their places since.
func TestNothingHappensToAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", names("old", 30)...)...)
	o := w.loggedIn("Maja")
	purge, export := o.order("purge"), o.order("export")
	w.dropStream()
	w.remakeStream()
	w.Die(dead(event.Courier, "http_400", "refused", names("new", 5)...)...)
	o.get(purge)
	o.post(purge+"/go", "final", "1").want(t, http.StatusSeeOther)
	o.until(purge, `data-state="failed"`).want(t, http.StatusOK,
		"the dead-letter stream was made anew since the letters were counted: nothing was removed; begin again")
	file := o.post(export+"/file").want(t, http.StatusSeeOther)
	if file.header.Get("Location") != export || file.header.Get("Content-Disposition") != "" {
		t.Errorf("the file's headers: %v", file.header)
	}
	o.until(export, `data-state="failed"`).want(t, http.StatusOK,
		"the dead-letter stream was made anew since the letters were counted: nothing was exported; begin again")
	o.get("/").want(t, http.StatusOK, "The dead-letter stream was made anew").lacks(t, "Remove 30 letters for good?")
	if n := w.letters(); n != 5 {
		t.Errorf("%d letters, want 5", n)
	}
}

// One letter stays, several stay.
func TestReplayOfWhatStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, want := range []string{"1 stays: ", "2 stay: "} {
		w.Die(dlq.Letter{Provider: event.Courier, Code: "invalid", Reason: "refused", Body: []byte("{}")})
		o := w.loggedIn("Maja")
		o.get(o.order("replay")).want(t, http.StatusOK, want).lacks(t, []string{"1 stay: ", "2 stays: "}[i])
	}
}

// What others removed while the question stood is told.
func TestExportOfFewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", names("a", 3)...)...)
	w.Die(dead(event.CleverTap, "531", "refused", names("b", 4)...)...)
	o := w.loggedIn("Maja")
	withdrawn := o.order("purge")
	o.post(withdrawn + "/stop")
	o.get("/").want(t, http.StatusOK, "withdrawn", "It was withdrawn before it began. Nothing was changed.").lacks(t, "Remove 7 letters for good?")
	export := o.order("export")
	purge := o.order("purge", "provider", "courier")
	o.get(purge)
	o.post(purge+"/go", "final", "1")
	o.until(purge, `data-state="done"`)
	if file := o.post(export + "/file"); strings.Count(file.body, "\n") != 4 {
		t.Errorf("%d lines", strings.Count(file.body, "\n"))
	}
	o.get(export).want(t, http.StatusOK, "4 letters exported.", "3 had been removed by somebody else meanwhile", "done, with fewer than counted", `class="pill bad"`)
}

// While the broker is away nothing begins, and a job's page says why.
func TestBrowserJobWithoutBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.CleverTap, "531", stale, names("a", 3)...)...)
	browser := browsertest.New(t)
	tab := w.logIn(browser.Tab(t), "Ada")
	tab.Open(w.url("/letters"))
	export := order(tab, "Export…")
	tab.Open(w.url("/letters"))
	purge := order(tab, "Purge…")
	tab.Click("#final")
	w.Broker.Stop()
	tab.WaitText("#away", "The broker does not answer")
	tab.Check("a job without a broker")
	equal(t, "whether the tick is still there", tab.Eval(`document.querySelector("#final").checked`), any(true))
	for _, job := range []string{purge, export} {
		tab.Open(job)
		contains(t, "the alert", tab.Text("#away"), "NATS is away")
		if job == purge {
			tab.Click("#final")
		}
		tab.Expect("status 502")
		tab.Click("#agree")
		contains(t, "the answer", tab.Text("[role=alert]"), "The broker does not answer, so nothing can be read or done now")
	}
	if strings.Contains(w.log.String(), "begins") {
		t.Error("a job has begun")
	}
	tab.Open(purge)
	if err := w.Broker.Restart(); err != nil {
		t.Fatal(err)
	}
	tab.Gone("#away")
	tab.Click("#final")
	tab.Click("#agree")
	tab.WaitText("#state", "3 letters removed.")
}

// Groups that were counted go with their stream.
func TestBrowserStreamMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.CleverTap, "531", stale, names("a", 30)...)...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	contains(t, "the head", tab.Text("#groups-head"), "30 letters in 1 group")
	w.dropStream()
	tab.WaitText("#groups-head", "The stream of letters is missing")
	contains(t, "the groups", tab.Text("#groups"), "The broker has no stream TOKENS_DLQ")
	equal(t, "groups", tab.Count("#codes li"), 0)
	tab.Check("the overview without letters' stream")
	w.remakeStream()
	w.Die(dead(event.CleverTap, "531", stale, "late")...)
	tab.WaitText("#groups-head", "1 letter in 1 group")
}

// Without the events' stream a person's letters are erased, and the page says
// what was not looked at.
func TestEraseWithoutEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", "ann", "bob")...)
	if err := w.Broker.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	o := w.loggedIn("Maja")
	o.get("/erase")
	job := o.post("/erase", "user", "user-ann").header.Get("Location")
	o.until(job, `data-state="asking"`)
	o.post(job+"/go", "final", "1")
	o.until(job, `data-state="failed"`).want(t, http.StatusOK, "Erased: 1 letter and 0 events.",
		"stream TOKENS is missing, so events were not looked at").lacks(t, "nats:", "err_code")
}
