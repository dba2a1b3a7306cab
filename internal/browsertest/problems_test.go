package browsertest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// wants compares findings with the beginnings of what is wanted, in any order.
func wants(t *testing.T, findings []string, want ...string) {
	t.Helper()
	for _, finding := range findings {
		if !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(finding, w) }) {
			t.Errorf("found, and not wanted: %s", finding)
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(findings, func(finding string) bool { return strings.HasPrefix(finding, w) }) {
			t.Errorf("wanted, and not found: %s", w)
		}
	}
}

func TestTheBrowserReportsEachFault(t *testing.T) {
	t.Parallel()
	b := browsertest.New(t)
	for name, test := range map[string]struct{ body, script, want string }{
		"nothing":         {script: `console.log("fine"); console.warn("hm"); fetch("/a.js").then(() => {})`},
		"console error":   {script: `console.error("no", 3, true, new Error("boo"))`, want: "console: no 3 true Error: boo"},
		"exception":       {script: `setTimeout(() => { throw new Error("thrown") })`, want: "uncaught: Error: thrown (/a.js:1)"},
		"promise":         {script: `Promise.reject(new Error("lost"))`, want: "uncaught: (in promise) Error: lost (/a.js:1)"},
		"syntax":          {script: "\nlet let", want: "uncaught: SyntaxError: "},
		"inline script":   {body: `<script>document.title = "x"</script>`, want: "security: Executing inline script violates"},
		"inline handler":  {body: `<p onclick="1">x</p>`, want: "security: Executing inline event handler violates"},
		"eval":            {script: `try { eval("1") } catch {}`, want: "security: kEvalViolation of script-src"},
		"missing picture": {body: `<img alt="" src="/none.png?q=1">`, want: "status 404: GET /none.png?q=1"},
		"failed request":  {script: `fetch("http://relay.test/x").catch(() => {})`, want: "failed: GET /x: net::ERR_NAME_NOT_RESOLVED"},
		"not loopback":    {script: `fetch("http://192.0.2.1/x").catch(() => {})`, want: "failed: GET /x: net::ERR_NAME_NOT_RESOLVED"},
		"dialog":          {script: `setTimeout(() => { if (confirm("Sure?")) console.error("yes") })`, want: "dialog: Sure?"},
		"method":          {script: `fetch("/none", {method: "POST"})`, want: "status 404: POST /none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := site{"/": document(`<h1>Fault</h1>` + test.body + `<script src="/a.js"></script>`), "/a.js": test.script}.serve(t)
			v := judge(t, func(v testing.TB) {
				tab := b.Incognito(v)
				tab.Open(url + "/")
				if test.want != "" {
					tab.Expect(test.want)
				}
			})
			if v.fatal != "" || len(v.errors) > 0 {
				t.Errorf("announced, and it says %s %q", v.fatal, v.errors)
			}
		})
	}
}

func TestProblemsFailTheTest(t *testing.T) {
	t.Parallel()
	url := site{"/": document(`<h1>Fault</h1><script src="/a.js"></script>`), "/a.js": `console.error("one"); console.error("two")`}.serve(t)
	b := browsertest.New(t)
	var told []string
	v := judge(t, func(v testing.TB) {
		tab := b.Tab(v)
		tab.Open(url + "/")
		told = tab.Problems()
		tab.Expect("one")
		tab.Expect("status 403")
		tab.Patience = 100 * time.Millisecond
	})
	wants(t, told, "console: one", "console: two")
	wants(t, v.errors, "the browser reports: console: two", `the browser did not report "status 403"`)
}
