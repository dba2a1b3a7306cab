// Package browsertest drives a real, headless Chromium for tests of pages.
//
// A test opens a [Browser], in it a [Tab] for each window that a person has
// open, and then says in short verbs what that person does and reads:
//
//	browser := browsertest.New(t)
//	tab := browser.Tab(t)
//	tab.Open(server.URL + "/letters")
//	tab.Fill("#code", "530")
//	tab.Click("button >> Filter")
//	tab.WaitText("h2", "530")
//	tab.Check("letters, filtered") // colours, names, width
//
// A verb waits for what it needs, so that a test needs no pauses, and ends the
// test with the page's text when that does not come within [Tab.Patience].
// What the browser itself complains about (errors in the console, breaches of
// the Content-Security-Policy, failed requests) fails the test at its end,
// unless [Tab.Expect] said that it would.
//
// Selectors are CSS, with one addition: "button >> Replay" is a button that
// reads "Replay" somewhere.
//
// The browser resolves no name but localhost and speaks to no address but the
// loopback's, and it trusts any certificate there. What a page is made of, and
// which pages there are, this package refuses to know. Its goroutines and
// processes are the browser's; they end with the test.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	startPatience = time.Minute      // for a browser to answer, on a machine that is busy
	stopPatience  = 10 * time.Second // for it to leave by itself
)

// Browser is a running browser of one test, with a profile of its own.
type Browser struct {
	ctx    context.Context
	output *output
}

// New starts a browser that ends with the test. It takes the one that the
// variable CHROME names (a path, or a name on the PATH), else the first of
// chromium, chromium-browser, google-chrome, google-chrome-stable, chrome and
// headless-shell on the PATH. Where there is none, root installs Debian's; who
// cannot is told in one line what to install. It never skips a test.
func New(t testing.TB) *Browser {
	t.Helper()
	path, err := find(t.Context(), machine{
		chrome: os.Getenv("CHROME"),
		root:   os.Geteuid() == 0,
		look:   exec.LookPath,
		run:    run,
	})
	if err != nil {
		t.Fatal(err)
	}
	b, stop, err := start(path, t.TempDir(), startPatience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return b
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := command.CombinedOutput()
	return string(output), err
}

// start starts the program at path and waits until it answers. What it keeps
// beside its profile goes to home.
func start(path, home string, patience time.Duration) (b *Browser, stop func(), err error) {
	b = &Browser{output: &output{}}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.WindowSize(desktopWidth, desktopHeight),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"),
		chromedp.IgnoreCertErrors,
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.CombinedOutput(b.output),
	)
	// The profile is a temporary folder of chromedp's, which also ends whatever
	// process of the browser still writes into it.
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(b.output.printf), chromedp.WithErrorf(b.output.printf))
	b.ctx = ctx
	// A deadline of its own would end the browser with it, not the wait only.
	late := time.AfterFunc(patience, cancel)
	err = chromedp.Do(ctx)
	if !late.Stop() {
		err = fmt.Errorf("no answer within %v", patience)
	}
	if err != nil {
		cancel()
		release()
		return nil, nil, fmt.Errorf("start browser %s: %w\n%s", path, err, b.output)
	}
	return b, func() {
		leave, done := context.WithTimeout(ctx, stopPatience)
		defer done()
		// Who does not leave when asked is killed by what follows.
		_ = chromedp.Cancel(leave)
		cancel()
		release()
	}, nil
}

// Tab opens a tab that ends with the test. All of them share their cookies:
// they are the windows of one person.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	return b.tab(t)
}

// Incognito opens a tab with cookies of its own: another person's.
func (b *Browser) Incognito(t testing.TB) *Tab {
	t.Helper()
	return b.tab(t, chromedp.WithNewBrowserContext())
}

// output is what the browser and its driver print, for the error of a start
// that failed.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

const mostOutput = 64 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < mostOutput {
		o.text.Write(p)
	}
	return len(p), nil
}

func (o *output) printf(format string, args ...any) {
	fmt.Fprintf(o, format+"\n", args...)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.text.String())
}
