package main

import (
	"fmt"
	"strings"
	"time"
)

// share is one bar: what part of the limit a fleet reached.
type share struct {
	call      time.Duration
	processes int
	value     float64
}

// draw makes bars from 0 to 100 %, a group a call duration, as an SVG that is
// legible on light and dark pages.
func draw(shares []share) string {
	const width, height, left, top, bar, gap = 640, 260, 50, 30, 44, 18
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#777">`, width, height+top+50)
	line(`<title>Tokens a second as a share of cap x 100 / call duration</title>`)
	for percent := 0; percent <= 100; percent += 25 {
		y := top + height - height*percent/100
		line(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#999" stroke-opacity=".4"/>`, left, y, width-10, y)
		line(`<text x="%d" y="%d" text-anchor="end">%d %%</text>`, left-6, y+4, percent)
	}
	x, call := left+gap, time.Duration(0)
	for _, s := range shares {
		if s.call != call {
			if call != 0 {
				x += 2 * gap
			}
			call = s.call
			line(`<text x="%d" y="%d" font-weight="bold">calls of %s</text>`, x, top-12, call)
		}
		h := int(s.value * height)
		line(`<rect x="%d" y="%d" width="%d" height="%d" fill="#3b82c4"/>`, x, top+height-h, bar, h)
		line(`<text x="%d" y="%d" text-anchor="middle">%.1f</text>`, x+bar/2, top+height-h-4, 100*s.value)
		line(`<text x="%d" y="%d" text-anchor="middle">%d</text>`, x+bar/2, top+height+16, s.processes)
		x += bar + gap
	}
	line(`<text x="%d" y="%d" text-anchor="middle">worker processes</text>`, width/2, top+height+38)
	line(`</svg>`)
	return b.String()
}
