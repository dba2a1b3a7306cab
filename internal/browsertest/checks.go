package browsertest

import (
	_ "embed"
)

// They run in the page, through the debugger, so that no
// Content-Security-Policy stops them and no page must serve them.
var (
	//go:embed script/find.js
	findScript string // which element a selector means, and what is in its way
	//go:embed script/look.js
	lookScript string // colours and widths
	//go:embed script/basics.js
	basicsScript string // names and structure
)

// Contrast is every visible text of the page whose contrast to what is behind
// it is below WCAG's level AA, with its element and the ratio: 4.5, or 3 for
// text of at least 24 px, or 18.66 px when bold
// (https://www.w3.org/TR/WCAG22/#contrast-minimum). Behind a text are the
// backgrounds of its ancestors, blended; of a gradient the colour that serves
// the text worst counts; a picture that is repeated or fills its box is told as
// something that cannot be judged. What is disabled is exempt, as in WCAG.
// Animations that end are brought to their end first.
func (tab *Tab) Contrast() []string {
	tab.t.Helper()
	return look[[]string](tab, "contrast")
}

// Basics is what the page lacks for who cannot see it, or has no mouse, of the
// whole document whether visible or not: a name for each field, button, link
// and picture, one h1 (among the visible), a title, a language, ids that are
// unique and that exist where labels and descriptions name them, and no
// positive tabindex.
func (tab *Tab) Basics() []string {
	tab.t.Helper()
	return look[[]string](tab, "basics")
}

// WiderThanScreen is empty, or what makes the page scroll sideways: a line for
// each element that sticks out of one that does not, with its right edge, and
// what in it does so, too. A page that lays itself out wider than a phone, for want of a viewport's meta element, is told
// too.
func (tab *Tab) WiderThanScreen() []string {
	tab.t.Helper()
	return look[[]string](tab, "wider")
}

// Check fails the test, without ending it, for each finding of Contrast, Basics
// and WiderThanScreen; where says which page it is, and in which state.
func (tab *Tab) Check(where string) {
	tab.t.Helper()
	for _, findings := range [][]string{tab.Contrast(), tab.Basics(), tab.WiderThanScreen()} {
		for _, finding := range findings {
			tab.t.Errorf("%s: %s", where, finding)
		}
	}
}
