package console_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq/console"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

// weather is what lines have in common: when it freezes nothing comes through,
// and nothing breaks.
type weather struct {
	mu   sync.Mutex
	warm chan struct{} // is closed while it does not freeze
}

func fair() *weather {
	w := &weather{warm: make(chan struct{})}
	close(w.warm)
	return w
}

func (w *weather) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warm = make(chan struct{})
}

func (w *weather) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.warm:
	default:
		close(w.warm)
	}
}

func (w *weather) await(ended <-chan struct{}) {
	w.mu.Lock()
	warm := w.warm
	w.mu.Unlock()
	select {
	case <-warm:
	case <-ended:
	}
}

// glass is a way to a console whose lines can freeze.
type glass struct {
	net.Listener
	open  sync.WaitGroup
	ended chan struct{}

	mu    sync.Mutex
	now   *weather // of the lines to come
	touch []byte   // what of a browser's freezes its line, once
}

func newGlass(t *testing.T, c *console.Console) *glass {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &glass{Listener: listener, ended: make(chan struct{}), now: fair()}
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
			now := g.weather()
			g.open.Go(func() { g.carry(near, far, now) })
			g.open.Go(func() { g.carry(far, near, now) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(g.ended)
		if err := c.Stop(context.Background()); err != nil { // which ends the lines, too
			t.Error(err)
		}
		g.open.Wait()
	})
	return g
}

func (g *glass) weather() *weather {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// change gives the lines to come a weather of their own.
func (g *glass) change() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = fair()
}

// freezeAt freezes the lines when one of them carries the text.
func (g *glass) freezeAt(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.touch = []byte(text)
}

func (g *glass) touched(piece []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.touch == nil || !bytes.Contains(piece, g.touch) {
		return false
	}
	g.touch = nil
	return true
}

func (g *glass) carry(from, to net.Conn, now *weather) {
	defer from.Close()
	defer to.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if g.touched(piece[:n]) {
			now.freeze()
		}
		now.await(g.ended)
		_, wrong := to.Write(piece[:n])
		if err != nil || wrong != nil {
			return
		}
	}
}

// behindGlass is a page that reaches its console through a glass.
func behindGlass(t *testing.T) (*world, *glass, *browsertest.Tab) {
	w := newWorld(t)
	g := newGlass(t, w.another((*console.Console).Lively))
	tab := browsertest.New(t).Tab(t)
	tab.Open("http://" + g.Addr().String() + "/")
	tab.Fill("#name", "Ada")
	return w, g, tab
}

// A console that stands still without a word is noticed, and so is its return.
func TestBrowserConsoleFrozen(t *testing.T) {
	t.Parallel()
	w, g, tab := behindGlass(t)
	tab.Click("button >> Log in")
	w.Die(dead("clevertap", "531", stale, "late")...)
	tab.WaitText("#groups-head", "1 letter in 1 group")
	tab.Gone("#lost:not([hidden])")
	now := g.weather()
	now.freeze()
	tab.Wait("#lost:not([hidden])")
	now.thaw()
	tab.Gone("#lost:not([hidden])")
	w.Die(dead("clevertap", "532", stale, "later")...)
	tab.WaitText("#groups-head", "2 letters in 2 groups")
}

// So is one that has not said a word to this page yet; a connection that lies
// dead somewhere between does not keep the page from one that answers on others.
func TestBrowserConsoleFrozenAtOnce(t *testing.T) {
	t.Parallel()
	for name, goOn := range map[string]func(*glass){
		"it thaws":             func(g *glass) { g.weather().thaw() },
		"back on another line": (*glass).change,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g, tab := behindGlass(t)
			g.freezeAt("GET /live")
			tab.Click("button >> Log in")
			tab.Wait("#lost:not([hidden])")
			goOn(g)
			tab.Gone("#lost:not([hidden])")
			w.Die(dead("clevertap", "531", stale, "late")...)
			tab.WaitText("#groups-head", "1 letter in 1 group")
		})
	}
}
