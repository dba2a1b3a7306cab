package browsertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Tab is one window of a browser, of the size of a desktop and light until it
// is told otherwise, and without animations where the page honours that wish.
// Its methods are for the test's own goroutine.
type Tab struct {
	// Patience is how long a verb waits for what it needs; a minute.
	Patience time.Duration

	t        testing.TB
	ctx      context.Context
	loads    *loads
	reports  *reports
	expected []expectation
}

func (b *Browser) tab(t testing.TB, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{Patience: time.Minute, t: t, loads: newLoads(), reports: &reports{}}
	options = append(options, chromedp.WithListener(tab.loads.listen), chromedp.WithListener(tab.reports.listen))
	ctx, cancel := chromedp.NewContext(b.ctx, options...)
	t.Cleanup(cancel)
	tab.ctx = ctx
	// The first action binds the tab's life to the context that it is given.
	tab.must("open a tab", chromedp.Do(ctx))
	tab.loads.answer(ctx)
	tab.do("open a tab", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, audits.Enable, cdp.Empty{})
		return err
	}))
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

// Back goes back in the tab's history, as the browser's button does. It does
// not wait for what comes: that may be another page, or the browser's own
// question whether to send a form again.
func (tab *Tab) Back() {
	tab.t.Helper()
	tab.do("go back", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		history, err := cdp.Call(ctx, t, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		if history.CurrentIndex == 0 {
			return errors.New("this is the first page")
		}
		_, err = cdp.Call(ctx, t, page.NavigateToHistoryEntry,
			page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
		return err
	}))
}

// URL is where the tab is.
func (tab *Tab) URL() string {
	tab.t.Helper()
	return look[string](tab, "address")
}

// Click waits until the element can be clicked (it is there, visible, enabled,
// at rest and not covered), scrolls to it and clicks it with the mouse. When
// that leads to another page, Click waits until it is loaded; a page that goes
// elsewhere only after it asked its server something must be waited for.
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
// value of a field with a picker (a date as "2006-01-02"). The field holds the
// text afterwards, or the test fails. As for a person who types, the page's
// change event comes when the focus leaves a text field.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	what := "fill " + selector
	tab.poll(what, func() (string, error) {
		filled, err := ask[struct {
			Why  string `json:"why"`
			Type bool   `json:"type"` // what the script has left to do
		}](tab, "fill", selector, text)
		if err != nil || filled.Why != "" || !filled.Type {
			return filled.Why, err
		}
		tab.do(what, typing(text))
		return ask[string](tab, "unlike", selector, text)
	})
}

// typing puts a text in the place of the selected one.
func typing(text string) chromedp.Action[chromedp.Void] {
	if text == "" {
		return chromedp.KeyEvent(kb.Backspace)
	}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
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
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[any](js, chromedp.EvalAwaitPromise))
	tab.must("script", err)
	tab.settle("script")
	return value
}
