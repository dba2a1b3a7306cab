package browsertest

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// Download clicks an element and waits for the file that this brings: the name
// under which it would be saved, and what is in it.
func (tab *Tab) Download(selector string) (name string, content []byte) {
	tab.t.Helper()
	what := "download by " + selector
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	folder, events := tab.t.TempDir(), true
	ours := chromedp.FromContext(tab.ctx)
	_, err := cdp.Call(ctx, ours.Browser, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior:         browser.SetDownloadBehaviorBehaviorAllowAndName,
		BrowserContextID: ours.BrowserContextID,
		DownloadPath:     folder,
		EventsEnabled:    &events,
	})
	tab.must(what, err)

	begun := make(chan *browser.EventDownloadWillBegin, 1)
	ended := make(chan *browser.EventDownloadProgress, 1)
	var id string // the listener's
	tab.must(what, chromedp.ListenBrowser(ctx, func(event any) {
		switch event := event.(type) {
		case *browser.EventDownloadWillBegin:
			if event.FrameID == cdp.FrameID(ours.Target.TargetID) {
				id = event.GUID
				offer(begun, event)
			}
		case *browser.EventDownloadProgress:
			if event.GUID == id && event.State != browser.DownloadProgressStateInProgress {
				offer(ended, event)
			}
		}
	}))
	tab.Click(selector)

	var file *browser.EventDownloadWillBegin
	select {
	case file = <-begun:
	case <-ctx.Done():
		tab.fail(what, "no file came")
	}
	select {
	case end := <-ended:
		if end.State != browser.DownloadProgressStateCompleted {
			tab.fail(what, file.SuggestedFilename+" was "+end.State.String())
		}
	case <-ctx.Done():
		tab.fail(what, file.SuggestedFilename+" does not end")
	}
	content, err = os.ReadFile(filepath.Join(folder, file.GUID))
	tab.must(what, err)
	return file.SuggestedFilename, content
}

// offer puts a value where one has room for it; a second one is no answer to
// the test's question.
func offer[T any](c chan T, value T) {
	select {
	case c <- value:
	default:
	}
}
