package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Tab is one window of a browser, of the size of a desktop and light until it
// is told otherwise, and without animations where the page honours that wish.
// Its methods are for the test's own goroutine.
type Tab struct {
	// Patience is how long a verb waits for what it needs; 30 s.
	Patience time.Duration

	t        testing.TB
	ctx      context.Context
	loads    *loads
	reports  *reports
	expected []expectation
	dark     bool
}

func (b *Browser) tab(t testing.TB, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{Patience: 30 * time.Second, t: t, loads: newLoads(), reports: &reports{}}
	options = append(options, chromedp.WithListener(tab.loads.listen), chromedp.WithListener(tab.reports.listen))
	ctx, cancel := chromedp.NewContext(b.ctx, options...)
	t.Cleanup(cancel)
	tab.ctx = ctx
	// The first action binds the tab's life to the context that it is given.
	tab.must("open a tab", chromedp.Do(ctx))
	tab.loads.answer(ctx)
	tab.Desktop()
	tab.Dark(false)
	t.Cleanup(tab.checkProblems)
	return tab
}

// Open goes to a page and waits until it is loaded. A page that answers with
// an error's status is opened, too, and is a problem.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.do("open "+url, chromedp.Navigate(url))
}

// Reload loads the page again, as F5 does.
func (tab *Tab) Reload() {
	tab.t.Helper()
	tab.do("reload", chromedp.Reload())
}

// URL is where the tab is.
func (tab *Tab) URL() string {
	tab.t.Helper()
	return evaluate[string](tab, "URL", "location.href")
}

// Click waits until the element can be clicked (it is there, visible, enabled,
// at rest and not covered), scrolls to it and clicks it with the mouse. When
// that leads to another page, Click waits until it is loaded.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	var last target
	tab.poll("click "+selector, func() (string, error) {
		at, err := ask[target](tab, "target", selector)
		rests := at.X == last.X && at.Y == last.Y
		last = at
		if err != nil || at.Why != "" || rests {
			return at.Why, err
		}
		return "it moves", nil
	})
	tab.act("click "+selector, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, last.X, last.Y), chromedp.MouseClickXY(last.X, last.Y))
}

// target is where to click, or why that is not possible.
type target struct {
	Why  string  `json:"why"`
	X, Y float64 // of the viewport, CSS pixels
}

// Fill puts a text into a field, in place of what is there: it types into text
// fields, picks the option of that text or value in a select, and sets the
// value of a field with a picker (a date as "2006-01-02").
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	var how string
	tab.poll("fill "+selector, func() (string, error) {
		filled, err := ask[struct{ Why, How string }](tab, "fill", selector, text)
		how = filled.How
		return filled.Why, err
	})
	switch {
	case how == "set":
	case text == "":
		tab.act("fill "+selector, chromedp.KeyEvent("\b"))
	default:
		tab.act("fill "+selector, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}))
	}
}

// Press presses a key where the focus is: a character, or Tab, Enter, Escape,
// Space, Backspace, Delete, ArrowUp, ArrowDown, ArrowLeft, ArrowRight, Home,
// End, PageUp, PageDown; "Shift+" in front holds shift.
func (tab *Tab) Press(key string) {
	tab.t.Helper()
	keys, options, err := keystroke(key)
	tab.must("press", err)
	tab.act("press "+key, chromedp.KeyEvent(keys, options...))
}

// Focused names the element that has the focus, as "button#replay" or
// "a “Letters”".
func (tab *Tab) Focused() string {
	tab.t.Helper()
	return look[string](tab, "focused")
}

// Text is what a person reads in the first element, visible or not: its text,
// or the value of a field. It waits until the element is there.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return tab.read("text", selector)
}

// HTML is the first element's own source. It waits until the element is there.
func (tab *Tab) HTML(selector string) string {
	tab.t.Helper()
	return tab.read("html", selector)
}

func (tab *Tab) read(what, selector string) string {
	tab.t.Helper()
	var text string
	tab.poll(what+" of "+selector, func() (string, error) {
		found, err := ask[*string](tab, what, selector)
		if found == nil {
			return "it is not there", err
		}
		text = *found
		return "", err
	})
	return text
}

// Wait waits until an element of the selector is visible.
func (tab *Tab) Wait(selector string) {
	tab.t.Helper()
	tab.poll("wait for "+selector, func() (string, error) {
		return ask[string](tab, "missing", selector)
	})
}

// WaitText waits until a visible element of the selector reads the text
// somewhere; runs of white space count as one space.
func (tab *Tab) WaitText(selector, text string) {
	tab.t.Helper()
	tab.poll(fmt.Sprintf("wait for %s with %q", selector, text), func() (string, error) {
		return ask[string](tab, "unread", selector, text)
	})
}

// Gone waits until no element of the selector is visible.
func (tab *Tab) Gone(selector string) {
	tab.t.Helper()
	tab.poll("wait until gone: "+selector, func() (string, error) {
		return ask[string](tab, "present", selector)
	})
}

// Count is how many elements of the selector there are now, visible or not.
func (tab *Tab) Count(selector string) int {
	tab.t.Helper()
	return look[int](tab, "count", selector)
}

// Eval is the value of a script as encoding/json gives it; of a promise, when
// it is kept. When the script leads to another page, Eval waits until it is
// loaded.
func (tab *Tab) Eval(js string) any {
	tab.t.Helper()
	value := evaluate[any](tab, "script", js, chromedp.EvalAwaitPromise)
	tab.settle("script")
	return value
}

// do carries actions out within the tab's patience.
func (tab *Tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	tab.must(what, chromedp.Do(ctx, actions...))
}

// act is do for what a person does, which may lead to another page.
func (tab *Tab) act(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	tab.do(what, actions...)
	tab.settle(what)
}

// settle waits for the page to which the last act leads, if it leads to one.
func (tab *Tab) settle(what string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	// The page tells in order, so once it answers this, it has told whether it
	// is about to leave. It may be gone already.
	_, _ = chromedp.Run(ctx, chromedp.Evaluate[int]("0"))
	if err := tab.loads.wait(ctx); err != nil {
		tab.fail(what, "the page that follows does not finish loading")
	}
}

// poll asks until there is nothing in the way any more. A question that the
// page cannot answer because it is being replaced is asked again.
func (tab *Tab) poll(what string, ask func() (why string, err error)) {
	tab.t.Helper()
	deadline := time.NewTimer(tab.Patience)
	defer deadline.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 160*time.Millisecond) {
		why, err := ask()
		if err == nil && why == "" {
			return
		}
		var mistake *chromedp.ExceptionError
		if errors.As(err, &mistake) {
			tab.must(what, err)
		}
		if err != nil {
			why = err.Error()
		}
		select {
		case <-deadline.C:
			tab.fail(what, fmt.Sprintf("%s, after %v", why, tab.Patience))
		case <-tab.ctx.Done():
			tab.fail(what, "the browser is gone")
		case <-time.After(pause):
		}
	}
}

func (tab *Tab) must(what string, err error) {
	tab.t.Helper()
	if err != nil {
		tab.fail(what, err.Error())
	}
}

// fail ends the test with what the page shows.
func (tab *Tab) fail(what, why string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`location.href + " shows:\n" + (document.body ? document.body.innerText.slice(0, 4000) : "nothing")`))
	if err != nil {
		shown = "the page does not answer: " + err.Error()
	}
	if problems := tab.reports.list(); len(problems) > 0 {
		shown += "\nthe browser reports:\n" + strings.Join(problems, "\n")
	}
	tab.t.Fatalf("%s: %s\n%s", what, why, shown)
}

// evaluate is the value of a script.
func evaluate[T any](tab *Tab, what, js string, options ...chromedp.EvaluateOption) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, options...))
	tab.must(what, err)
	return value
}

// ask calls one of the functions in script/.
func ask[T any](tab *Tab, function string, args ...any) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](call(function, args...), chromedp.EvalAwaitPromise))
}

// look is ask for what needs no waiting.
func look[T any](tab *Tab, function string, args ...any) T {
	tab.t.Helper()
	value, err := ask[T](tab, function, args...)
	tab.must(function, err)
	return value
}

// call is the script that calls a function of script/ with these arguments.
func call(function string, args ...any) string {
	list := make([]string, len(args))
	for i, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			panic(err) // strings and numbers only
		}
		list[i] = string(text)
	}
	return "(() => {" + findScript + lookScript + basicsScript + "return " + function + "(" + strings.Join(list, ", ") + ") })()"
}

// screenshot is the whole page as PNG.
func screenshot(ctx context.Context, t *chromedp.Target) ([]byte, error) {
	metrics, err := cdp.Call(ctx, t, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	whole := true
	picture, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &whole,
		Clip:                  &page.Viewport{Width: metrics.CSSContentSize.Width, Height: metrics.CSSContentSize.Height, Scale: 1},
	})
	return picture.Data, err
}
