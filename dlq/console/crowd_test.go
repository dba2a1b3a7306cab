package console_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// watch opens a live page and returns its status; it stays open until the
// context ends.
func (o *visitor) watch(ctx context.Context) int {
	o.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.w.url("/live?page=overview"), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := o.client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { resp.Body.Close() })
	return resp.StatusCode
}

// One operator with many pages leaves room for the others, and all of them
// together are bounded, too.
func TestManyPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, closeAll := context.WithCancel(t.Context())
	defer closeAll()
	for range 10 { // operators
		o := w.loggedIn("Maja")
		for range 20 {
			equal(t, "the status of a page", o.watch(ctx), http.StatusOK)
		}
		equal(t, "the status of one page too many of an operator", o.watch(ctx), http.StatusTooManyRequests)
	}
	equal(t, "the status of one page too many of all", w.loggedIn("Bob").watch(ctx), http.StatusTooManyRequests)
}

// A page for which there is no place says so, and goes on when there is one.
func TestBrowserCrowded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tab := browsertest.New(t).Tab(t)
	ctx, closeAll := context.WithCancel(t.Context())
	defer closeAll()
	for range 10 {
		o := w.loggedIn("Maja")
		for range 20 {
			equal(t, "the status of a page", o.watch(ctx), http.StatusOK)
		}
	}
	tab.Expect("status 429: GET /live")
	w.logIn(tab, "Ada")
	tab.WaitText("#crowded", "So many pages of the console are open that this one is not told of changes.")
	equal(t, "complaints that the console does not answer", tab.Count("#lost:not([hidden])"), 0)
	tab.Check("a page without a place")
	closeAll()
	tab.Gone("#crowded:not([hidden])")
	w.Die(dead("clevertap", "531", stale, "late")...)
	tab.WaitText("#groups-head", "1 letter in 1 group")
}
