package browsertest

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// In CSS pixels.
const (
	desktopWidth, desktopHeight = 1280, 900
	phoneWidth, phoneHeight     = 390, 844
	phoneScale                  = 2 // device pixels a CSS pixel
)

// Phone makes the tab a phone's: 390 by 844 pixels, two device pixels each,
// with touch, and with the page's viewport as its meta element says.
func (tab *Tab) Phone() {
	tab.t.Helper()
	tab.do("phone", chromedp.EmulateViewport(phoneWidth, phoneHeight,
		chromedp.EmulateScale(phoneScale), chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait))
}

// Desktop makes the tab a desktop's window again: 1280 by 900 pixels.
func (tab *Tab) Desktop() {
	tab.t.Helper()
	screen := func(m *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
		m.ScreenWidth, m.ScreenHeight = desktopWidth, desktopHeight
	}
	tab.do("desktop", chromedp.EmulateViewport(desktopWidth, desktopHeight, chromedp.EmulateLandscape, screen))
}

// Dark says whether the person prefers dark colours.
func (tab *Tab) Dark(dark bool) {
	tab.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	tab.do(scheme, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// NoScript turns the scripts off of pages that are opened from now on. All
// verbs work on, since the debugger's own scripts run.
func (tab *Tab) NoScript() {
	tab.t.Helper()
	tab.do("no script", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// Screenshot writes the whole page, not only what fits the window, to a PNG
// file, in a folder that it makes when it is missing.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, tab.Patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, screenshot)
	tab.must("screenshot", err)
	tab.must("screenshot", os.MkdirAll(filepath.Dir(file), 0o750))
	tab.must("screenshot", os.WriteFile(file, picture, 0o600))
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
