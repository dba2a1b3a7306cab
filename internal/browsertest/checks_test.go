package browsertest_test

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/browsertest"
)

func TestNothingIsFoundOnACleanPage(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{"/": document(`<style>
			:root { color-scheme: light dark; --ink: light-dark(#222, #eee); color: var(--ink); background: light-dark(#fff, #111) }
			.card { background: rgb(128 128 128 / .1); padding: 1rem; transition: background 9s }
			.big { font-size: 24px; color: light-dark(#888, #777) }
			.bold { font-size: 19px; font-weight: 700; color: oklch(.6 0 0) }
			::placeholder { color: light-dark(#555, #ccc) }
			.scroll { overflow-x: auto } .wide { width: 3000px }
			.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; color: #fff }
			.chip::before { content: "!"; color: #fff; background: linear-gradient(#700, #007) }
			@keyframes in { from { opacity: 0 } } .in { animation: in 60s }
		</style>
		<header><a href="/">Home</a></header><h1>Letters</h1>
		<div class="card"><p>Some <b>text</b></p><p class="big">large</p><p class="bold">bold</p><p class="in">comes in</p></div>
		<form><label>Code <input name="code" value="530"></label><label for="p">Provider</label><select id="p"><option>CleverTap</option></select>
		<span id="w">Words</span><textarea aria-labelledby="w">x</textarea><input type="search" aria-label="Find" placeholder="reason">
		<input type="submit"><button disabled style="color: #ccc">Purge</button><button><img alt="Export" src="data:,"></button></form>
		<div class="scroll"><div class="wide">a table</div></div><p class="sr">for a reader</p><p class="chip">chip</p>
		<div tabindex="0" role="img" aria-label="plot"><svg width="20" height="20"><text y="10" fill="currentColor">1</text></svg></div>
		<details><summary>More</summary><p style="color: #eee">inside</p></details><div hidden><h1>Other</h1><p style="color: #fefefe">hidden</p></div>`)})
	tab.Check("desktop")
	tab.Dark(true)
	tab.Check("desktop, dark")
	tab.Phone()
	tab.Check("phone, dark")
	tab.Dark(false)
	tab.Check("phone")
}

func TestContrastIsFound(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{"/": document(`<style>.row { color: #767676 } .row.b { background: #f4f4f4 } :root { background: #fff; color: #000 } em { font-style: normal }</style>
		<h1>Faint</h1>
		<p class="row a">fits</p><p class="row b">just below</p>
		<p id="alpha" style="color: rgb(0 0 0 / .4)">alpha</p>
		<div style="background: #000"><div style="background: rgb(255 255 255 / .5)"><p id="layers" style="color: #fff">layers</p></div></div>
		<div style="opacity: .5"><p id="opacity" style="color: #333">opacity</p></div>
		<p id="gradient" style="background: linear-gradient(90deg, #fff, #444)">gradient</p>
		<p id="picture" style="background-image: url(data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=)">picture</p>
		<p id="large" style="font-size: 24px; color: #999">large</p>
		<p id="bold" style="font-size: 18px; font-weight: 700; color: #888">not large</p>
		<p id="space" style="color: color(srgb .7 .7 .7)">space</p><p id="ok" style="color: oklch(.75 0 0 / 1)">ok</p>
		<label>Q <input id="hint" placeholder="hint" style="color: #000"></label><style>#hint::placeholder { color: #ccc }</style>
		<label>V <input id="value" value="faint" style="color: #bbb"></label>
		<label>T <textarea id="area" style="color: #bbb">faint</textarea></label>
		<label>S <select id="select" style="color: #bbb; background: #fff"><option>faint</option></select></label>
		<p id="before">x</p><style>#before::before { content: "mark"; color: #ddd }</style>
		<svg width="50" height="20"><text id="svg" y="10" fill="#ddd">svg</text></svg>`)})
	wants(t, tab.Contrast(),
		"contrast 4.12, 4.5 needed: p.row.b “just below”: “just below” is #767676 on #f4f4f4",
		"contrast 2.84, 4.5 needed: p#alpha: “alpha” is #999999 on #ffffff",
		"contrast 3.97, 4.5 needed: div > div > p#layers",
		"contrast 2.84, 4.5 needed: div > p#opacity",
		"contrast 2.15, 4.5 needed: p#gradient",
		"contrast: p#picture: “picture” lies on a picture",
		"contrast 2.84, 3 needed: p#large",
		"contrast 3.54, 4.5 needed: p#bold",
		"contrast 2.10, 4.5 needed: p#space",
		"contrast 2.21, 4.5 needed: p#ok",
		"contrast 1.60, 4.5 needed: label > input#hint::placeholder",
		"contrast 1.91, 4.5 needed: label > input#value",
		"contrast 1.91, 4.5 needed: label > textarea#area",
		"contrast 1.91, 4.5 needed: label > select#select",
		"contrast 1.35, 4.5 needed: p#before::before",
		"contrast 1.35, 4.5 needed: svg > text#svg",
	)
}

func TestBasicsAreFound(t *testing.T) {
	t.Parallel()
	tab, _ := open(t, site{"/": `<!doctype html><body><h1>One</h1><h1>Two</h1>
		<input id="a"><input id="b" title="only a title"><select id="c"></select><textarea id="d"></textarea><button id="e"><span aria-hidden="true">×</span></button>
		<a id="f" href="/"></a><img id="g" src="data:,"><p id="twice">x</p><p id="twice">y</p><p id="h" tabindex="2">z</p>
		<label id="i" for="gone">L</label><p id="j" aria-describedby="away">m</p><input type="hidden"><input id="k" aria-labelledby="twice">
		<input type="image" id="l" src="data:,">`})
	wants(t, tab.Basics(),
		"html has no lang", "the page has no title", "the page has 2 h1, not one",
		"no name: input#a", "no name: input#b", "no name: select#c", "no name: textarea#d", "no name: button#e", "no name: a#f", "no name: input#l",
		"no alt: img#g", "id twice is there 2 times", "tabindex 2: p#h",
		"label for gone, which is not there: label#i", "aria-describedby names away, which is not there: p#j",
	)
}

func TestWhatIsWiderThanTheScreenIsFound(t *testing.T) {
	t.Parallel()
	tab, url := open(t, site{
		"/": document(`<h1>Wide</h1><div><div id="box" style="width: 600px"><p>fits</p></div></div>
			<p id="token" style="font: 16px monospace">` + "dGhpcy1pcy1hLXRva2VuLXdpdGhvdXQtYW55LWJyZWFr" + "dGhpcy1pcy1hLXRva2VuLXdpdGhvdXQtYW55LWJyZWFr" + `</p>
			<div style="overflow: hidden"><p id="held" style="width: 900px">held</p></div>`),
		"/old": `<!doctype html><html lang="en"><title>Old</title><h1>Old</h1>`,
	})
	wants(t, tab.WiderThanScreen())
	tab.Phone()
	wants(t, tab.WiderThanScreen(), "wide: the page is ", "wide: div > div#box reaches to 608 px, as does p “fits” in it", "wide: p#token")
	tab.Open(url + "/old")
	wants(t, tab.WiderThanScreen(), "wide: the page lays itself out 980 px wide on a screen of 390")
}

func TestCheckTellsAllFindings(t *testing.T) {
	t.Parallel()
	url := site{"/": document(`<p style="color: #ccc; width: 2000px">faint</p>`)}.serve(t)
	b := browsertest.New(t)
	v := judge(t, func(t testing.TB) {
		tab := b.Tab(t)
		tab.Open(url + "/")
		tab.Check("letters")
	})
	wants(t, v.errors, "letters: contrast 1.60, ", "letters: the page has 0 h1", "letters: wide: the page is ", "letters: wide: p “faint” reaches to 2008 px")
}
