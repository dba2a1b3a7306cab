package browsertest

import (
	"context"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// loads follows whether a tab's page is about to be replaced. Only listen
// writes what it follows.
type loads struct {
	mu        sync.Mutex
	requested bool          // the page asked to go elsewhere
	loading   bool          // and something comes
	idle      chan struct{} // closed while neither is so
	main      cdp.FrameID
	dialogs   chan bool // one that waits for an answer: yes or no
}

func newLoads() *loads {
	l := &loads{idle: make(chan struct{}), dialogs: make(chan bool, 16)}
	close(l.idle)
	return l
}

// listen takes the tab's events in their order. It must not wait.
func (l *loads) listen(event any) {
	switch event := event.(type) {
	case *page.EventFrameRequestedNavigation:
		if event.Disposition == page.ClientNavigationDispositionCurrentTab {
			l.set(event.FrameID, true, l.loading)
		}
	case *page.EventFrameStartedLoading:
		l.set(event.FrameID, l.requested, true)
	case *page.EventFrameStoppedLoading:
		l.set(event.FrameID, false, false)
	case *page.EventNavigatedWithinDocument:
		l.set(event.FrameID, false, l.loading)
	case *page.EventJavascriptDialogOpening:
		// Whoever leaves may leave; nothing else was asked of the test.
		l.dialogs <- event.Type == page.DialogTypeBeforeunload
	}
}

func (l *loads) set(frame cdp.FrameID, requested, loading bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if frame != l.main {
		return
	}
	was, is := l.requested || l.loading, requested || loading
	l.requested, l.loading = requested, loading
	switch {
	case is && !was:
		l.idle = make(chan struct{})
	case was && !is:
		close(l.idle)
	}
}

func (l *loads) wait(ctx context.Context) error {
	l.mu.Lock()
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer answers dialogs, which would stop the page for ever, until the tab's
// end.
func (l *loads) answer(ctx context.Context) {
	tab := chromedp.FromContext(ctx).Target
	l.mu.Lock()
	l.main = cdp.FrameID(tab.TargetID)
	l.mu.Unlock()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case yes := <-l.dialogs:
				// It fails for a dialog that is gone.
				_, _ = cdp.Call(ctx, cdp.Session(tab), page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: yes})
			}
		}
	}()
}
