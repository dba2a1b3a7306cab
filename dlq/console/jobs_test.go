package console_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A purge removes what was there when it counted, and only after a yes.
func TestPurgeByForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "Courier: HTTP 400: refused", names("a", 30)...)...)
	w.Die(dead(event.CleverTap, "531", "CleverTap: 531", names("b", 3)...)...)
	o := w.loggedIn("Maja")
	job := o.order("purge", "provider", "courier", "code", "http_400")
	o.get(job).want(t, http.StatusOK, "Remove 30 letters for good?", "I know that they cannot be brought back", "30 letters")
	w.Die(dead(event.Courier, "http_400", "Courier: HTTP 400: refused", "late")...)
	o.post(job+"/go").want(t, http.StatusUnprocessableEntity, "Nothing was changed")
	if n := w.letters(); n != 34 {
		t.Fatalf("%d letters", n)
	}
	o.get(job)
	o.post(job+"/go", "final", "1").want(t, http.StatusSeeOther)
	o.until(job, `data-state="done"`).want(t, http.StatusOK, "30 letters removed.")
	if n := w.letters(); n != 4 {
		t.Errorf("%d letters, want 4", n)
	}
	o.post(job+"/go", "final", "1").want(t, http.StatusSeeOther) // once more changes nothing
	for _, words := range []string{`msg="console: purge begins" operator=Maja job=1 total=30`, `msg="console: purge ended" operator=Maja job=1 did="30 letters removed."`} {
		if !strings.Contains(w.log.String(), words) {
			t.Errorf("no %s in\n%s", words, w.log)
		}
	}
}

// What nobody agreed to changes nothing, and there are not too many of them.
func TestJobsThatNobodyAgreesTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", "ann")...)
	o := w.loggedIn("Maja")
	first := o.order("purge")
	for range 7 {
		o.order("replay")
	}
	o.get("/letters")
	o.post("/jobs", "kind", "replay").want(t, http.StatusTooManyRequests, "8 jobs are open already")
	o.post(first+"/stop").want(t, http.StatusSeeOther)
	o.get(first).want(t, http.StatusOK, `data-state="withdrawn"`, "withdrawn before it began. Nothing was changed")
	o.get("/letters")
	o.post(first+"/go", "final", "1").want(t, http.StatusSeeOther)
	o.order("export")
	o.get("/jobs/99").want(t, http.StatusNotFound)
	o.get("/letters")
	o.post("/jobs", "kind", "burn").want(t, http.StatusUnprocessableEntity, "must be replay, purge or export")
	o.post("/jobs", "kind", "replay", "trial", "some", "rate", "NaN", "field", "tokken", "value", "secret").want(t, http.StatusUnprocessableEntity,
		"letters of each group to try first: “some” must be a whole number", "most letters a second: “NaN” must be a number", "correction: “tokken” names no field").lacks(t, "secret")
	o.post("/jobs", "kind", "replay", "field", "token=secret", "value", "more").want(t, http.StatusUnprocessableEntity, "the name of a field has no “=”").lacks(t, "secret")
	for _, rate := range []string{"1e-300", "0.009", "100001", "Inf", "-1"} {
		o.post("/jobs", "kind", "replay", "rate", rate).want(t, http.StatusUnprocessableEntity, "most letters a second: “"+rate+"” must be a number from 0.01 to 100000, or 0 for no limit")
	}
	o.post("/jobs", "kind", "purge", "since", "soon", "person", "made-up").want(t, http.StatusUnprocessableEntity, "since is “soon”", "search again")
	if w.letters() != 1 {
		t.Error("the letter is gone")
	}
	for _, words := range []string{"looks what a purge would do", "looks what an export would do"} {
		if !strings.Contains(w.log.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	if strings.Contains(w.log.String(), "secret") {
		t.Error("the log has the value of a field")
	}
	if n := strings.Count(o.get("/").body, `id="job-`); n != 8 {
		t.Errorf("%d jobs on the overview", n)
	}
}

// Many clicks at once begin a replay once.
func TestManyClicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.worker()
	w.Die(dead(event.CleverTap, "531", "CleverTap: 531", names("a", 30)...)...)
	o := w.loggedIn("Maja")
	job := o.order("replay")
	o.get(job).want(t, http.StatusOK, "Replay 30 letters, up to 5 of each group first?", "30 to be replayed").lacks(t, "As ordered")
	var clicks sync.WaitGroup
	for range 8 {
		clicks.Go(func() { o.post(job + "/go") })
	}
	clicks.Wait()
	o.until(job, `data-state="done"`).want(t, http.StatusOK, "30 letters: 30 replayed (30 delivered), 0 left", "trial passed: 5 replayed, none died")
	if n := len(w.Fake.Accepted(event.CleverTap)); n != 30 || w.letters() != 0 {
		t.Errorf("%d accepted, %d letters", n, w.letters())
	}
	if n := strings.Count(w.log.String(), "replay begins"); n != 1 {
		t.Errorf("%d replays", n)
	}
}

// A correction goes with every event; what was changed is in the history.
func TestReplayCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.CleverTap, Effect: sandbox.Refuse, Code: "531"}); err != nil {
		t.Fatal(err)
	}
	w.worker("PROVIDERS=clevertap")
	w.Die(dead(event.CleverTap, "534", "CleverTap: 534", "ann")...)
	o := w.loggedIn("Maja")
	job := o.order("replay", "field", "type", "value", "apns", "trial", "0")
	bob := w.loggedIn("Bob")
	bob.get(job).want(t, http.StatusOK, "corrects type in each event; no trial.")
	bob.post(job + "/go")
	o.until(job, `data-state="done"`).want(t, http.StatusOK, "by Maja, agreed to by Bob", "1 died again", "done, with something left")
	list := o.get("/letters?code=531").want(t, http.StatusOK, "replayed once").body
	_, rest, _ := strings.Cut(list, `<a href="/letters/`)
	address, _, _ := strings.Cut(rest, `"`)
	o.get("/letters/"+address).want(t, http.StatusOK, "died of 534; then changed: type", `"type": "apns"`)
	// The old place leads to where the letter is now.
	_, id, _ := strings.Cut(address, "?id=")
	if p := o.get("/letters/1?id="+id).want(t, http.StatusSeeOther); p.header.Get("Location") != "/letters/"+address {
		t.Errorf("leads to %s, want %s", p.header.Get("Location"), address)
	}
	o.get("/letters/1").want(t, http.StatusNotFound, "not there any more")
	o.get("/letters/0").want(t, http.StatusNotFound)
	o.get("/letters/1?id=clevertap:1:1").want(t, http.StatusNotFound)
}

// An export is a line of JSON a letter, in a file, and the letters stay.
func TestExportByForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", names("a", 450)...)...)
	w.Die(dead(event.CleverTap, "531", "refused", "other")...)
	o := w.loggedIn("Maja")
	job := o.order("export", "provider", "courier")
	o.get(job).want(t, http.StatusOK, "Download 450 letters, with all that is personal in them?")
	o.post(job+"/go").want(t, http.StatusSeeOther) // begins with the download only
	file := o.post(job + "/file")
	if !strings.HasPrefix(file.header.Get("Content-Disposition"), `attachment; filename="letters-`) {
		t.Errorf("headers %v", file.header)
	}
	lines := slices.Collect(strings.Lines(file.body))
	if len(lines) != 450 || w.letters() != 451 {
		t.Fatalf("%d lines, %d letters", len(lines), w.letters())
	}
	for i, text := range lines {
		var line struct {
			Provider string
			Body     struct{ Token string }
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Provider != "courier" || line.Body.Token != "token-"+names("a", 450)[i] {
			t.Fatalf("line %d: %v %s", i, err, text)
		}
	}
	o.get(job).want(t, http.StatusOK, `data-state="done"`, "450 letters exported.")
	o.post(job+"/file").want(t, http.StatusSeeOther)
}

// A browser shows a file that ends without its end as a failed download. The
// job's end must not be the connection's.
func TestEveryExportEndsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", names("a", 30)...)...)
	o := w.loggedIn("Maja")
	for range 40 {
		job := o.order("export", "provider", "courier")
		if file := o.post(job + "/file"); strings.Count(file.body, "\n") != 30 {
			t.Fatalf("%d lines", strings.Count(file.body, "\n"))
		}
	}
}

// A person is found in both streams and removed from them; who it was is told
// nowhere.
func TestEraseByForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", "ann", "bob")...)
	w.Put(registration("ann"), "user_id=user-ann&token=t")
	o := w.loggedIn("Maja")
	o.get("/erase")
	o.post("/erase", "user", " ").want(t, http.StatusUnprocessableEntity, "Give a user_id or an object_id")
	p := o.post("/erase", "user", "user-ann").want(t, http.StatusSeeOther)
	job := p.header.Get("Location")
	o.until(job, `data-state="asking"`).want(t, http.StatusOK, "Erase 1 letter and 2 events of this person for good?", "1 stored message could not be read as an event").lacks(t, "user-ann")
	o.post(job+"/go", "final", "1")
	o.until(job, `data-state="done"`).want(t, http.StatusOK, "Erased: 1 letter and 2 events.", "1 stored message could not be read as an event").lacks(t, "user-ann")
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if w.letters() != 1 || stream.CachedInfo().State.Msgs != 0 {
		t.Errorf("%d letters, %d events", w.letters(), stream.CachedInfo().State.Msgs)
	}
	if log := w.log.String(); strings.Contains(log, "ann") || !strings.Contains(log, `msg="console: erase begins" operator=Maja`) {
		t.Errorf("log:\n%s", log)
	}
}

// An open page is told of what changes, and of the end.
func TestLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "first reason", "ann")...)
	o := w.loggedIn("Maja")
	events := func(path string) (next func(until string), end func()) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := o.client.Do(r) //nolint:bodyclose // by the returned function
		if err != nil {
			t.Fatal(err)
		}
		if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Fatalf("%d %s", resp.StatusCode, kind)
		}
		text := bufio.NewScanner(resp.Body)
		return func(until string) {
			t.Helper()
			for text.Scan() {
				if strings.Contains(text.Text(), until) {
					return
				}
			}
			t.Fatalf("no %q before the end: %v", until, text.Err())
		}, func() { resp.Body.Close() }
	}
	next, end := events("/live?page=overview")
	defer end()
	next("event: parts")
	next("first reason")
	w.Die(dead(event.Courier, "http_400", "another reason", "bob")...)
	next("another reason")
	job := o.order("purge")
	next("waits for you")
	nextOfJob, endOfJob := events("/live?page=job&id=" + strings.TrimPrefix(job, "/jobs/"))
	defer endOfJob()
	nextOfJob("Remove 2 letters for good?")
	o.get(job)
	o.post(job+"/go", "final", "1")
	nextOfJob("2 letters removed.")
	nextOfJob("event: ended")
	next("No letters")
	o.get("/live?page=nothing").want(t, http.StatusNoContent)
}

// Who stops a job is told what it had done, and nobody else's job suffers.
func TestStopUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead(event.Courier, "http_400", "refused", names("a", 400)...)...)
	for range 300 {
		w.Put(registration("ann"))
	}
	o := w.loggedIn("Maja")
	o.get("/erase")
	erasing := o.post("/erase", "user", "user-ann").header.Get("Location")
	o.until(erasing, `data-state="asking"`)
	purging := o.order("purge", "reason", "refused") // one by one
	o.get(purging)
	o.post(erasing+"/go", "final", "1")
	o.post(purging+"/go", "final", "1")
	o.post(erasing + "/stop")
	o.post(purging + "/stop")
	o.until(erasing, `data-state="(done|failed)"`)
	o.until(purging, `data-state="(done|failed)"`)
	stream, err := w.Broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	o.get(erasing).want(t, http.StatusOK, phrase.Plural(300-int(stream.CachedInfo().State.Msgs), "event")+".")
	o.get(purging).want(t, http.StatusOK, phrase.Plural(400-w.letters(), "letter")+" removed.")
	o.get("/").want(t, http.StatusOK)
}

// A consumer that somebody has paused by hand is told of.
func TestPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Broker.JS.PauseConsumer(t.Context(), consumer.EventsStream, event.Courier, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	o := w.loggedIn("Maja")
	o.until("/", "Courier is paused").want(t, http.StatusOK, "resume</span> <span>TOKENS</span> <span>courier").lacks(t, "CleverTap is paused")
}
