package console_test

import (
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

const (
	script  = `<script>window.pwned=true</script>`
	onerror = `"><img src=x onerror=window.pwned=true>`
)

// harmless fails the test when a page took somebody's text for its own.
func harmless(t *testing.T, tab *browsertest.Tab, where string) {
	t.Helper()
	equal(t, "window.pwned on "+where, tab.Eval("typeof window.pwned"), any("undefined"))
	equal(t, "scripts on "+where, tab.Count("script"), 1)
	equal(t, "pictures on "+where, tab.Count("img"), 0)
}

func TestBrowserScriptsAreTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Fake.AddRules(
		sandbox.Rule{Provider: sandbox.CleverTap, Token: sandbox.Match{Contains: "refused"}, Effect: sandbox.Refuse, Code: "531", Text: "No " + script + onerror},
		sandbox.Rule{Name: "403", Provider: sandbox.Courier, Effect: sandbox.Status, Status: http.StatusForbidden, Body: `{"message": "Go ` + script + ` away", "type": "authorization_error"}`},
	); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"user_id": "user" + script, "object_id": "object" + onerror, "token": "token" + script + onerror, "type": script,
		"device": map[string]string{"model": script}, "properties": map[string]string{onerror: script}})
	if err != nil {
		t.Fatal(err)
	}
	evil := dlq.Letter{Provider: "clevertap", Code: "530", Reason: "Refused " + script + onerror, Body: body, Replayed: true, Header: nats.Header{
		dlq.HeaderID: {onerror + script}, dlq.HeaderGeneration: {"1"}, "X-Evil": {"value" + script + onerror},
		dlq.HeaderHistory: {`[{"code":"530","at":"2026-01-31T12:00:00Z","edited":["<script>window.pwned=true</script>"]}]`},
	}}
	tab := w.logIn(browsertest.New(t).Tab(t), script)
	contains(t, "who is logged in", tab.Text("header .who"), script)
	same := marked(t, tab)
	w.worker("HOLD_MIN=4m")
	w.Die(evil)
	w.Put(registration("refused"))
	tab.WaitText("#groups-head", "2 letters in 2 groups") // which came while the page was seen
	tab.WaitText("#held-courier", script)
	same()
	contains(t, "the groups", tab.Text("#groups"), "Refused "+script+onerror, "No "+script+onerror)
	contains(t, "the hold", tab.Text("#held-courier"), "Go "+script+" away")
	harmless(t, tab, "the live overview")
	tab.Reload()
	contains(t, "the groups after a reload", tab.Text("#groups"), "Refused "+script+onerror, "No "+script+onerror)
	harmless(t, tab, "the overview")

	tab.Click("a.reason >> No ")
	contains(t, "the provider's reason", tab.Text("#group-head + .reason"), "No "+script+onerror)
	harmless(t, tab, "the group that a provider made")
	tab.Open(w.url("/letters"))
	contains(t, "the list", tab.Text("#letters"), "Refused "+script+onerror, "No "+script+onerror)
	harmless(t, tab, "the list")
	tab.Click("#letters a >> CleverTap 530")
	contains(t, "the letter", tab.Text("main"), "Refused "+script+onerror, onerror+script, "then changed: "+script)
	harmless(t, tab, "the letter")
	tab.Click("#reveal")
	contains(t, "the revealed event", tab.Text("#event"), "user"+script, script+`\"><img src=x onerror=window.pwned=true>`)
	contains(t, "the revealed header", tab.Text("section >> Headers"), "value"+script+onerror)
	harmless(t, tab, "the revealed letter")
	tab.Click("a >> All letters of its group")
	equal(t, "letters of its group", tab.Count(lettersOf), 1)

	tab.Open(w.url("/letters"))
	tab.Click("summary >> Choose letters")
	tab.Fill("#reason", script)
	tab.Click("button >> Show")
	equal(t, "letters by such a reason", tab.Count(lettersOf), 2)
	equal(t, "the field afterwards", tab.Text("#reason"), script)
	contains(t, "the choice in words", tab.Text("#act"), "“"+script+"”")
	harmless(t, tab, "the filtered list")
	order(tab, "Purge…")
	contains(t, "the job", tab.Text("#parts"), "“"+script+"”", "by "+script, "Refused "+script+onerror)
	harmless(t, tab, "the job's preview")
	tab.Click("#final")
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done")
	harmless(t, tab, "the job's end")
	tab.Click("a >> To the overview")
	contains(t, "the job on the overview", tab.Text("#jobs"), "“"+script+"”", "by "+script)
	harmless(t, tab, "the overview with the job")
	equal(t, "letters", w.letters(), 0)

	tab.Expect("status 422")
	tab.Expect("status 404")
	tab.Open(w.url("/letters?since=%3Cscript%3Ewindow.pwned=true%3C/script%3E&before=%22%3E%3Cimg%20src=x%20onerror=window.pwned=true%3E"))
	contains(t, "what is wrong", tab.Text("main"), "Since is “"+script+"”", "Before is “"+onerror+"”")
	harmless(t, tab, "the sentences about what is wrong")
	tab.Open(w.url("/jobs/" + "%3Cscript%3Ewindow.pwned=true%3C%2Fscript%3E"))
	harmless(t, tab, "the page of no job")
}
