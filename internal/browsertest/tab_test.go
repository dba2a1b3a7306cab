package browsertest_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func TestAPersonReadsAndClicks(t *testing.T) {
	t.Parallel()
	tab, url := open(t, site{
		"/": document(`<h1>Letters</h1>
			<form method="post" action="/filter"><label>Code <input name="code" value="old"></label>
			<label>Since <input name="since" type="date"></label>
			<label>Provider <select name="provider"><option value="c">CleverTap</option><option value="k">Courier</option></select></label>
			<button disabled>Purge</button> <button>Filter</button></form>
			<p class="row">one</p><p class="row" hidden>two</p><div style="height: 3000px"></div><a href="/far#end">Far away</a>`),
		"POST /filter": document(`<h1>Filtered</h1>`),
		"/far":         document(`<h1>Far</h1><p id="end">the   end</p>`),
	})
	equal(t, "the text", tab.Text("h1"), "Letters")
	equal(t, "the count", tab.Count(".row"), 2)
	equal(t, "the count by text", tab.Count("p >> two"), 1)
	tab.Fill("[name=code]", "530 “x”")
	tab.Fill("[name=since]", "2026-11-22")
	tab.Fill("select", "Courier")
	equal(t, "the field", tab.Text("[name=code]"), "530 “x”")
	equal(t, "the date", tab.Text("[name=since]"), "2026-11-22")
	equal(t, "the option", tab.Text("select"), "Courier")
	equal(t, "the value", tab.Eval(`document.querySelector("select").value`), any("k"))
	tab.Fill("[name=code]", "")
	equal(t, "the emptied field", tab.Text("[name=code]"), "")
	tab.Click("button >> Filter")
	equal(t, "the page after the form", tab.Text("h1"), "Filtered")
	equal(t, "its address", tab.URL(), url+"/filter")
	tab.Open(url + "/")
	tab.Click("a >> Far away") // far below what the window shows
	tab.WaitText("p", "the end")
	equal(t, "the page behind the link", tab.URL(), url+"/far#end")
	equal(t, "the source", tab.HTML("#end"), `<p id="end">the   end</p>`)
	tab.Reload()
	equal(t, "the page loaded again", tab.Text("h1"), "Far")
	tab.Open(strings.Replace(url, "127.0.0.1", "localhost", 1) + "/") // another site, another process
	tab.Click("a >> Far away")
	equal(t, "the page on another site", tab.Text("h1"), "Far")
}

func TestAPersonHasOnlyAKeyboard(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{
		"/": document(`<h1>Keys</h1><a id="one" href="/two">one</a> <button id="other" type="button">other</button>
			<form action="/three"><label>Q <input id="q" name="q"></label></form>`),
		"/two":   document(`<h1>Two</h1>`),
		"/three": document(`<h1>Three</h1>`),
	})
	tab.Press("Tab")
	equal(t, "the focus", tab.Focused(), "a#one")
	tab.Press("Tab")
	equal(t, "the focus after another Tab", tab.Focused(), "button#other")
	tab.Press("Shift+Tab")
	equal(t, "the focus after Shift+Tab", tab.Focused(), "a#one")
	tab.Press("Enter")
	equal(t, "the page behind Enter", tab.Text("h1"), "Two")
	tab.Back()
	tab.WaitText("h1", "Keys")
	tab.Click("label >> Q")
	tab.Press("h")
	tab.Press("Space")
	tab.Press("i")
	equal(t, "what was typed", tab.Text("#q"), "h i")
	tab.Press("Enter")
	equal(t, "the page that Enter sends to", tab.Text("h1"), "Three")
}

func TestThePageChangesByItself(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{
		"/": document(`<h1>Live</h1><p id="count">waiting</p><p id="busy">busy</p><button id="late" disabled>Late</button><script src="/live.js"></script>`),
		"/live.js": `setTimeout(() => {
			document.querySelector("#count").textContent = "12 delivered";
			document.querySelector("#busy").remove();
			document.querySelector("#late").disabled = false;
			document.querySelector("#late").addEventListener("click", () => document.body.insertAdjacentHTML("beforeend", "<p id=done>done</p>"));
		}, 300)`,
	})
	equal(t, "the text before", tab.Text("#count"), "waiting")
	tab.WaitText("#count", "12 delivered")
	tab.Gone("#busy")
	tab.Click("#late")
	tab.Wait("#done")
}

// A stream of events that has no end is no page that does not finish loading,
// and leaving it is no failed request.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{
		"/":             document(`<h1>Live</h1><p id="count">waiting</p><a href="/two">two</a><script src="/live.js"></script>`),
		"/live.js":      `new EventSource("/count.events").onmessage = e => document.querySelector("#count").textContent = e.data`,
		"/count.events": "data: 12 delivered\n\n",
		"/two":          document(`<h1>Two</h1><a href="/">back</a>`),
	})
	for range 3 {
		tab.WaitText("#count", "12 delivered")
		tab.Click("a >> two")
		tab.Click("a >> back")
	}
}

func TestSecureCookies(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
		_, err := r.Cookie("session")
		fmt.Fprintf(w, "%s%t", document(""), err == nil)
	}))
	t.Cleanup(server.Close)
	tab := browsertest.New(t).Tab(t)
	tab.Open(server.URL)
	equal(t, "the first answer", tab.Text("body"), "false")
	tab.Reload()
	equal(t, "the second answer", tab.Text("body"), "true")
}

// Neither of them leads to another page, and neither keeps a test waiting.
func TestClicksThatLeadNowhere(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{
		"/": document(`<h1>Stay</h1><a href="#here">here</a> <a href="/nothing">nothing</a> <a id="held" href="/held">held</a>
			<a href="/letters.jsonl">export</a><p id="here">x</p><script src="/hold.js"></script>`),
		"/hold.js":       `document.querySelector("#held").addEventListener("click", e => e.preventDefault())`,
		"/nothing":       "",
		"/letters.jsonl": "{\"id\":1}\n",
	})
	for _, link := range []string{"a >> here", "a >> nothing", "#held"} {
		tab.Click(link)
		equal(t, "the page after "+link, tab.Text("h1"), "Stay")
	}
	for range 2 {
		name, content := tab.Download("a >> export")
		equal(t, "the file's name", name, "letters.jsonl")
		equal(t, "its content", string(content), "{\"id\":1}\n")
	}
	equal(t, "the page after a download", tab.Text("h1"), "Stay")
}

func TestTabsShareCookiesAndPersonsDoNot(t *testing.T) {
	t.Parallel()
	url := site{"/": document(`<h1>Cookies</h1>`)}.serve(t)
	b := browsertest.New(t)
	one, same, other := b.Tab(t), b.Tab(t), b.Incognito(t)
	for _, tab := range []*browsertest.Tab{one, same, other} {
		tab.Open(url + "/")
	}
	one.Eval(`document.cookie = "name=ada"`)
	equal(t, "the cookie in another tab", same.Eval("document.cookie"), any("name=ada"))
	equal(t, "the cookie of another person", other.Eval("document.cookie"), any(""))
}

func TestWhatThePageIsSeenOn(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{"/": document(`<h1>Look</h1><noscript>no script</noscript><p id="js"></p><script src="/a.js"></script><div style="height: 2000px"></div>`),
		"/a.js": `document.querySelector("#js").textContent = "script"`})
	const screen = `[innerWidth, innerHeight, devicePixelRatio, matchMedia("(pointer: coarse)").matches, matchMedia("(prefers-color-scheme: dark)").matches].join()`
	equal(t, "the desktop", tab.Eval(screen), any("1280,900,1,false,false"))
	tab.Dark(true)
	tab.Phone()
	equal(t, "the phone", tab.Eval(screen), any("390,844,2,true,true"))

	file := filepath.Join(t.TempDir(), "folder", "phone.png")
	tab.Screenshot(file)
	picture, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil || size.Width != 2*390 || size.Height < 2*2000 {
		t.Errorf("the picture has %d by %d pixels, %v", size.Width, size.Height, err)
	}

	tab.Desktop()
	tab.Dark(false)
	equal(t, "the desktop again", tab.Eval(screen), any("1280,900,1,false,false"))
	equal(t, "the script's text", tab.Text("#js"), "script")
	tab.NoScript()
	tab.Reload()
	equal(t, "the text without script", tab.Text("#js"), "")
	tab.WaitText("noscript", "no script")
}

func TestAVerbThatWaitsInVainShowsThePage(t *testing.T) {
	t.Parallel()
	url := site{"/": document(`<h1>Here I am</h1><p id="p">words</p><button disabled>off</button><label>R <input id="r" readonly></label>
		<button id="under" style="position: absolute; top: 400px">under</button><div style="position: fixed; inset: 300px 0 0 0; background: #fff" id="veil">veil</div>`)}.serve(t)
	b := browsertest.New(t)
	for _, test := range []struct {
		name string
		act  func(*browsertest.Tab)
		want string
	}{
		{"not there", func(tab *browsertest.Tab) { tab.Wait("#none") }, "wait for #none: it is not there, after 1s"},
		{"another text", func(tab *browsertest.Tab) { tab.WaitText("#p", "letters") }, `wait for #p with "letters": it reads "words"`},
		{"still there", func(tab *browsertest.Tab) { tab.Gone("#p") }, "wait until gone: #p: it is still there: p#p"},
		{"disabled", func(tab *browsertest.Tab) { tab.Click("button >> off") }, "click button >> off: it is disabled"},
		{"covered", func(tab *browsertest.Tab) { tab.Click("#under") }, "click #under: it is covered by div#veil"},
		{"read-only", func(tab *browsertest.Tab) { tab.Fill("#r", "x") }, "fill #r: it is read-only"},
		{"no field", func(tab *browsertest.Tab) { tab.Fill("#p", "x") }, "fill #p: it is no field for text"},
		{"no text", func(tab *browsertest.Tab) { tab.Text("#none") }, "text of #none: it is not there"},
		{"no selector", func(tab *browsertest.Tab) { tab.Wait("p[") }, "is not a valid selector"},
		{"no key", func(tab *browsertest.Tab) { tab.Press("Entr") }, `press: "Entr" is no key`},
		{"a script's error", func(tab *browsertest.Tab) { tab.Eval("nope()") }, "nope is not defined"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := judge(t, func(t testing.TB) {
				tab := b.Tab(t)
				tab.Open(url + "/")
				tab.Patience = time.Second
				test.act(tab)
			})
			if !strings.Contains(v.fatal, test.want) || !strings.Contains(v.fatal, "Here I am") {
				t.Errorf("it says %q", v.fatal)
			}
		})
	}
}
