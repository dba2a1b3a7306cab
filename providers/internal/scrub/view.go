package scrub

import (
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// view is a text as it reads after undoing some escapes, in lower case. Each
// of its bytes knows which bytes of the original it came from.
type view struct {
	text     string
	from, to []int // by byte of text: its piece of the original
}

func look(original string) view {
	v := view{text: lower(original), from: make([]int, len(original)), to: make([]int, len(original))}
	for i := range v.from {
		v.from[i], v.to[i] = i, i+1
	}
	return v
}

// depth is how many escapes are undone one after the other: a page may show
// JSON, and JSON may stand in JSON.
const depth = 2

// viewsOf are all the readings of a text: as it is, and after undoing escapes
// of URLs, of queries, of JSON and of HTML in every order. Escapes that do not
// occur make no view, so that the usual text has one.
func viewsOf(original string) []view {
	views := []view{look(original)}
	for begin, level := 0, 0; level < depth; level++ {
		last := views[begin:]
		begin = len(views)
		for _, v := range last {
			for _, unescape := range []unescaper{inURL, inQuery, inJSON, inHTML} {
				other := v.undo(unescape)
				if !slices.ContainsFunc(views, func(v view) bool { return v.text == other.text }) {
					views = append(views, other)
				}
			}
		}
	}
	return views
}

// unescaper reads one escaped character at the beginning of text: what it
// stands for, and its length in text. It is empty when there is none.
type unescaper func(text string) (string, int)

func (v view) undo(unescape unescaper) view {
	if !strings.ContainsAny(v.text, `%+\&`) {
		return v
	}
	var out view
	var text strings.Builder
	for i := 0; i < len(v.text); {
		unit, n := unescape(v.text[i:])
		if unit == "" {
			unit, n = v.text[i:i+1], 1
		}
		text.WriteString(unit)
		for range len(unit) {
			out.from = append(out.from, v.from[i])
			out.to = append(out.to, v.to[i+n-1])
		}
		i += n
	}
	out.text = lower(text.String())
	return out
}

func inURL(text string) (string, int) {
	if text[0] != '%' || len(text) < 3 {
		return "", 0
	}
	b, err := strconv.ParseUint(text[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(b)}), 3
}

func inQuery(text string) (string, int) {
	if text[0] == '+' {
		return " ", 1
	}
	return inURL(text)
}

func inJSON(text string) (string, int) {
	if len(text) < 2 || text[0] != '\\' {
		return "", 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return text[1:2], 2
	}
	r, ok := hex4(text)
	if !ok {
		return "", 0
	}
	if r >= 0xD800 && r < 0xDC00 {
		if low, ok := hex4(text[6:]); ok && low >= 0xDC00 && low < 0xE000 {
			return string((r-0xD800)<<10 | (low - 0xDC00) + 0x10000), 12
		}
	}
	return string(r), 6
}

func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[2:6], 16, 16)
	return rune(n), err == nil
}

func inHTML(text string) (string, int) {
	if text[0] != '&' {
		return "", 0
	}
	end := strings.IndexByte(text[:min(len(text), 12)], ';') + 1
	if end == 0 {
		return "", 0
	}
	if s := html.UnescapeString(text[:end]); s != text[:end] {
		return s, end
	}
	return "", 0
}

// lower puts text into lower case letter by letter, except where that would
// change its length: bytes must stay where they are.
func lower(text string) string {
	b := []byte(text)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if l := unicode.ToLower(r); l != r && utf8.RuneLen(l) == n {
			utf8.EncodeRune(b[i:], l)
		}
		i += n
	}
	return string(b)
}
