package console_test

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// scripted takes the place of what a page's script asks the browser for: its
// lines to the console, its questions and its timers. show hides the tab, or
// shows it again.
const scripted = `
window.show = (yes) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: !yes });
  document.dispatchEvent(new Event("visibilitychange"));
};
show(false);
window.lines = [];
window.EventSource = class {
  static CLOSED = 2;
  on = {};
  readyState = 0;
  constructor() { lines.push(this); }
  addEventListener(name, hear) { this.on[name] = hear; }
  close() { this.readyState = 2; }
};
window.line = () => lines.at(-1);
window.open = () => { line().readyState = 1; line().on.open(); };
window.refuse = () => { line().readyState = 2; line().on.error(); };
window.answers = [];
window.fetch = () => new Promise((answer) => answers.push(answer));
window.timers = new Map();
window.setTimeout = (call, wait) => { const id = timers.size + 1e6 + Math.random(); timers.set(id, { call, wait }); return id; };
window.clearTimeout = (id) => timers.delete(id);
window.fire = (longest) => { for (const [id, { call, wait }] of [...timers]) if (wait <= longest) { timers.delete(id); call(); } };
window.seen = (id) => !document.getElementById(id).hidden;
undefined`

// scriptedPage is an overview whose tab is hidden, with scripted lines.
func scriptedPage(t *testing.T) *browsertest.Tab {
	t.Helper()
	tab := newWorld(t).logIn(browsertest.New(t).Tab(t), "Ada")
	tab.Eval(scripted)
	return tab
}

// However often a page is hidden and shown while the console refuses it, it
// waits for one thing at a time, and hidden for none.
func TestBrowserRefusedAndHidden(t *testing.T) {
	t.Parallel()
	tab := scriptedPage(t)
	for range 5 {
		tab.Eval(`show(true); refuse(); answers.at(-1)({ status: 429 })`)
		equal(t, "timers of a page that was refused", tab.Eval(`timers.size`), any(1.0))
		equal(t, "whether it says why", tab.Eval(`seen("crowded")`), any(true))
		tab.Eval(`show(false)`)
		equal(t, "timers of a hidden page", tab.Eval(`timers.size`), any(0.0))
	}
	equal(t, "lines", tab.Eval(`lines.length`), any(5.0))
	tab.Eval(`show(true); refuse(); answers.at(-1)({ status: 503 })`)
	equal(t, "lines before the next try", tab.Eval(`lines.length`), any(6.0))
	tab.Eval(`fire(10000)`)
	equal(t, "lines after it", tab.Eval(`lines.length`), any(7.0))
}

// An answer that comes when the page has a line again changes nothing.
func TestBrowserLateAnswer(t *testing.T) {
	t.Parallel()
	tab := scriptedPage(t)
	tab.Eval(`show(true); refuse(); show(false); show(true); open(); answers[0]({ status: 429 })`)
	equal(t, "whether the page says that it is crowded", tab.Eval(`seen("crowded")`), any(false))
	equal(t, "lines", tab.Eval(`lines.length`), any(2.0))
	equal(t, "the state of the second", tab.Eval(`line().readyState`), any(1.0))
	tab.Eval(`refuse(); show(false); answers[1]({ status: 0 })`)
	equal(t, "timers of a hidden page", tab.Eval(`timers.size`), any(0.0))
}

// Who comes back to a page after hours is told soon that nothing is heard, and
// not at all where something is, or after a moment.
func TestBrowserShownAfterHours(t *testing.T) {
	t.Parallel()
	tab := scriptedPage(t)
	tab.Eval(`show(true); fire(5000)`)
	equal(t, "whether the console seems away after a moment", tab.Eval(`seen("lost")`), any(false))
	tab.Eval(`open(); show(false); const now = Date.now; Date.now = () => now() + 3600e3; show(true); undefined`)
	equal(t, "whether it seems so at once", tab.Eval(`seen("lost")`), any(false))
	tab.Eval(`fire(5000)`)
	equal(t, "whether it seems so soon", tab.Eval(`seen("lost")`), any(true))
	equal(t, "lines", tab.Eval(`lines.length`), any(2.0))
	tab.Eval(`open(); fire(5000)`)
	equal(t, "whether it seems so when it is there", tab.Eval(`seen("lost")`), any(false))
	tab.Eval(`fire(60000)`)
	equal(t, "whether it seems so after its silence", tab.Eval(`seen("lost")`), any(true))
	equal(t, "lines after that", tab.Eval(`lines.length`), any(3.0))
}
