package scrub

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// matchAt is the length of the longest piece of text at i that is one of the
// values, 0 when there is none.
func (s *Scrubber) matchAt(text string, i int) int {
	longest := 0
	try := func(values []string) {
		for _, value := range values {
			longest = max(longest, match(text, i, value, true), match(text, i, value, false))
		}
	}
	literal := lowerByte(text[i])
	try(s.values[literal])
	if unit, _ := decode(text[i:]); unit != "" && lowerByte(unit[0]) != literal {
		try(s.values[lowerByte(unit[0])])
	}
	return longest
}

// match is the length of the piece of text at i that is value, or a beginning
// of value long enough to tell tokens or people apart (a provider may shorten
// what it echoes); 0 when it is neither. With decoding, each character of
// text may be escaped as in a URL, in JSON or in HTML, some or all of them.
func match(text string, i int, value string, decoding bool) int {
	at, done := i, 0
	for at < len(text) && done < len(value) {
		if decoding {
			if unit, n := decode(text[at:]); unit != "" && strings.HasPrefix(value[done:], lower(unit)) {
				at, done = at+n, done+len(unit)
				continue
			}
		}
		if lowerByte(text[at]) != value[done] {
			break
		}
		at, done = at+1, done+1
	}
	whole := done == len(value)
	switch {
	case whole && done >= short:
	case whole && isEdge(text, i, at):
	case !whole && done >= 8 && (done >= 16 || 2*done >= len(value)):
	default:
		return 0
	}
	return at - i
}

// decode reads one escaped character at the beginning of text: what it stands
// for (as UTF-8; one byte of it in a URL) and its length in text. It is empty
// when there is none.
func decode(text string) (string, int) {
	switch text[0] {
	case '+':
		return " ", 1
	case '%':
		if len(text) >= 3 {
			if b, err := strconv.ParseUint(text[1:3], 16, 8); err == nil {
				return string([]byte{byte(b)}), 3
			}
		}
	case '\\':
		return decodeJSON(text)
	case '&':
		if end := strings.IndexByte(text[:min(len(text), 12)], ';'); end > 0 {
			if s := html.UnescapeString(text[:end+1]); s != text[:end+1] {
				return s, end + 1
			}
		}
	}
	return "", 0
}

func decodeJSON(text string) (string, int) {
	if len(text) < 2 {
		return "", 0
	}
	switch text[1] {
	case '"', '\\', '/', '\'':
		return text[1:2], 2
	case 'u':
		r, ok := hex4(text)
		if !ok {
			return "", 0
		}
		if r >= 0xD800 && r < 0xDC00 {
			if low, ok := hex4(text[6:]); ok && low >= 0xDC00 && low < 0xE000 {
				return string((r-0xD800)<<10 | (low - 0xDC00) + 0x10000), 12
			}
		}
		if utf8.ValidRune(r) {
			return string(r), 6
		}
	}
	return "", 0
}

func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[2:6], 16, 16)
	return rune(n), err == nil
}

// isEdge reports whether text[from:to] stands as a word.
func isEdge(text string, from, to int) bool {
	if to < len(text) && isWord(text[to]) {
		return false
	}
	if from == 0 || !isWord(text[from-1]) {
		return true
	}
	// What stands before may be the end of an escaped separator: %2Fab, \u0020ab.
	for _, n := range []int{3, 6} {
		if from >= n {
			if unit, size := decode(text[from-n:]); size == n {
				return !isWord(unit[len(unit)-1])
			}
		}
	}
	return false
}

func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf
}

// lower folds ASCII letters only: it must not change lengths.
func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}

func lowerByte(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
