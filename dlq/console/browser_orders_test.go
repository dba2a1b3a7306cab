package console_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// bodies are the messages of a stream that have a text in them.
func (w *world) bodies(stream, text string) int {
	w.T.Helper()
	s, err := w.Broker.JS.Stream(w.T.Context(), stream)
	if err != nil {
		w.T.Fatal(err)
	}
	state, found := s.CachedInfo().State, 0
	for seq := state.FirstSeq; seq > 0 && seq <= state.LastSeq; seq++ {
		message, err := s.GetMsg(w.T.Context(), seq)
		if err == nil && bytes.Contains(message.Data, []byte(text)) {
			found++
		}
	}
	return found
}

func TestBrowserPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", stale, names("gone", 12)...)...)
	w.Die(dead("clevertap", "530", noObject, names("kept", 7)...)...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Click("a.reason >> Invalid token data")
	job := order(tab, "Purge…")
	contains(t, "the question", tab.Text("#state .question"), "Remove 12 letters for good?")
	contains(t, "the preview", tab.Text("#rows"), "CleverTap 531", "12 letters")
	contains(t, "the tick", tab.Text("label[for=final]"), "I know that they cannot be brought back")

	tab.Click("#agree") // the browser itself asks for the tick
	equal(t, "the field that the browser points at", tab.Focused(), "input#final")
	equal(t, "whether the browser lets the form go", tab.Eval(`document.querySelector("#final").form.checkValidity()`), any(false))
	contains(t, "the state without a tick", tab.Text("#state .pill"), "waits for you")
	equal(t, "letters without a tick", w.letters(), 19)

	tab.Expect("status 422")
	tab.Eval(`document.querySelector("#final").form.submit()`) // which asks nobody
	contains(t, "the answer to a form without a tick", tab.Text("[role=alert]"), "Tick “I know that they cannot be brought back” first. Nothing was changed.")
	equal(t, "letters after a form without a tick", w.letters(), 19)

	tab.Open(job)
	tab.Click("button >> Do nothing")
	tab.WaitText("#state .pill", "withdrawn")
	contains(t, "the state", tab.Text("#state"), "It was withdrawn before it began. Nothing was changed.")
	equal(t, "what can still be clicked", tab.Count("#state button"), 0)
	if strings.Contains(w.log.String(), "purge begins") {
		t.Error("the log says that it began")
	}
	tab.Click("a >> Letters: CleverTap 531")
	order(tab, "Purge…")
	tab.Click("label[for=final]")
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done")
	contains(t, "the summary", tab.Text("#state .question"), "12 letters removed.")
	equal(t, "letters of the group", w.bodies(dlq.Stream, "gone"), 0)
	equal(t, "letters of the other group", w.bodies(dlq.Stream, "kept"), 7)
	tab.Click("a >> Letters: CleverTap 531") // whose letters the job was about
	contains(t, "the group's page", tab.Text("#group-head"), "CleverTap 531", "0 letters")
	contains(t, "its letters", tab.Text("#letters"), "No letters like these.")
	tab.Click("nav a >> Overview")
	tab.WaitText("#groups-head", "7 letters in 1 group")
	contains(t, "the log", w.log.String(), `msg="console: purge begins" operator=Ada`, `msg="console: purge ended" operator=Ada`, "12 letters removed.")
}

func TestBrowserExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", stale, names("a", 230)...)...)
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", names("b", 4)...)...)
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Open(w.url("/letters"))
	order(tab, "Export…")
	contains(t, "the question", tab.Text("#state .question"), "Download 234 letters, with all that is personal in them?")
	contains(t, "the note", tab.Text("#state .hint"), "publisher import", "The letters stay")
	same := marked(t, tab)
	name, content := tab.Download("#agree")
	if !regexp.MustCompile(`^letters-\d{8}-\d{6}\.jsonl$`).MatchString(name) {
		t.Errorf("the file is named %q", name)
	}
	bodies := map[string]bool{}
	for line := range bytes.Lines(content) {
		var letter publisher.ExportedLetter
		if err := json.Unmarshal(line, &letter, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("a line is no letter: %v: %s", err, line)
		}
		bodies[letter.Provider+" "+string(letter.Body)] = true
	}
	equal(t, "the letters in the file", len(bodies), 234)
	equal(t, "the lines", bytes.Count(content, []byte("\n")), 234)
	if !bodies["clevertap "+registration("a0229")] || !bodies["courier "+registration("b0003")] {
		t.Error("the file lacks letters that were put")
	}
	tab.WaitText("#state .pill", "done")
	same()
	contains(t, "the summary", tab.Text("#state .question"), "234 letters exported.")
	equal(t, "letters", w.letters(), 234)
	contains(t, "the log", w.log.String(), `msg="console: export ended" operator=Ada`)
	if strings.Contains(w.log.String(), "token-a") {
		t.Error("the log has a token")
	}
}

func TestBrowserErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Die(dead("clevertap", "531", stale, amber, "other")...)
	w.Die(dead("courier", "http_400", "Courier 400: unknown provider_key", amber)...)
	for range 3 { // they wait, for no worker runs
		w.Put(registration(amber))
	}
	w.Put(registration("other"))
	hidden := personal{amber}
	tab := w.logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Click("a >> Erase a person")
	tab.Fill("#user", "user-"+amber)
	tab.Click("button >> Count what is stored…")
	tab.Wait("#agree")
	contains(t, "the question", tab.Text("#state .question"), "Erase 2 letters and 3 events of this person for good?")
	hidden.hiddenIn(t, tab, "the preview")
	tab.Click("#agree")
	equal(t, "the field that the browser points at", tab.Focused(), "input#final")
	equal(t, "letters without a tick", w.bodies(dlq.Stream, amber), 2)
	tab.Click("#final")
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done")
	contains(t, "the summary", tab.Text("#state .question"), "Erased: 2 letters and 3 events.")
	contains(t, "what else is said", tab.Text("#state"), "CleverTap: 3 events had been waiting for it and will never reach it", "Courier: 3 events had been waiting for it")
	hidden.hiddenIn(t, tab, "the result")
	equal(t, "letters of the person", w.bodies(dlq.Stream, amber), 0)
	equal(t, "events of the person", w.bodies(consumer.EventsStream, amber), 0)
	equal(t, "letters of others", w.bodies(dlq.Stream, "other"), 1)
	equal(t, "events of others", w.bodies(consumer.EventsStream, "other"), 1)
	tab.Click("a >> To the overview")
	hidden.hiddenIn(t, tab, "the overview")
	hidden.absent(t, "the log", w.log.String())
	contains(t, "the log", w.log.String(), `msg="console: erase begins" operator=Ada`, `msg="console: erase ended" operator=Ada`, "Erased: 2 letters and 3 events.")
}
