package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

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
	tab.hear(ctx)
	if err := tab.loads.wait(ctx); err != nil {
		tab.fail(what, "the page that follows does not finish loading")
	}
}

// hear waits until all has arrived that the page has told so far, whether it is
// about to leave, for example: it tells in order. It may be gone already.
func (tab *Tab) hear(ctx context.Context) {
	_, _ = chromedp.Run(ctx, chromedp.Evaluate[int]("0"))
}

// poll asks until there is nothing in the way any more. A question that the
// page cannot answer because it is being replaced is asked again.
func (tab *Tab) poll(what string, ask func() (why string, err error)) {
	tab.t.Helper()
	deadline := time.NewTimer(tab.Patience)
	defer deadline.Stop()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 160*time.Millisecond) {
		why, err := ask()
		if err == nil && why == "" {
			return
		}
		if _, mistaken := errors.AsType[*chromedp.ExceptionError](err); mistaken {
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

// ask calls one of the functions in script/.
func ask[T any](tab *Tab, function string, args ...any) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](call(function, args...), chromedp.EvalAwaitPromise))
}

// look is ask for what is answered at once, if not by a page that is being
// replaced.
func look[T any](tab *Tab, function string, args ...any) T {
	tab.t.Helper()
	var value T
	tab.poll(function, func() (string, error) {
		var err error
		value, err = ask[T](tab, function, args...)
		return "", err
	})
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
