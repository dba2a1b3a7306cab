package console_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq/console"
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

// glass is a line to a console that can freeze: then nothing comes through,
// and nothing breaks.
type glass struct {
	net.Listener
	frozen sync.RWMutex
	open   sync.WaitGroup
}

func newGlass(t *testing.T, c *console.Console) *glass {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &glass{Listener: listener}
	to := strings.TrimSuffix(strings.TrimPrefix(c.URL(), "http://"), "/")
	g.open.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				g.open.Go(func() { g.carry(way[0], way[1]) })
			}
		}
	})
	t.Cleanup(func() {
		listener.Close()
		if err := c.Stop(context.Background()); err != nil { // which ends the lines, too
			t.Error(err)
		}
		g.open.Wait()
	})
	return g
}

func (g *glass) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		g.frozen.RLock()
		_, wrong := to.Write(piece[:n])
		g.frozen.RUnlock()
		if err != nil || wrong != nil {
			return
		}
	}
}

// A console that stands still without a word is noticed, and so is its return.
func TestBrowserConsoleFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGlass(t, w.another((*console.Console).Lively))
	tab := browsertest.New(t).Tab(t)
	tab.Open("http://" + g.Addr().String() + "/")
	tab.Fill("#name", "Ada")
	tab.Click("button >> Log in")
	tab.WaitText("#groups-head", "No letters")
	equal(t, "complaints before", tab.Count("#lost:not([hidden])"), 0)
	g.frozen.Lock()
	thaw := sync.OnceFunc(g.frozen.Unlock)
	defer thaw()
	tab.Wait("#lost:not([hidden])")
	thaw()
	tab.Gone("#lost:not([hidden])")
	w.Die(dead("clevertap", "531", stale, "late")...)
	tab.WaitText("#groups-head", "1 letter in 1 group")
}
