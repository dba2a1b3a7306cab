package scrub

import "unicode/utf8"

// find calls hide for each piece of text that is one of the values, however
// escaped, until hide returns false.
func (s *Scrubber) find(text string, hide func(from, to int) bool) {
	for _, v := range viewsOf(text) {
		for i := 0; i < len(v.text); i++ {
			n := 0
			for _, value := range s.values[v.text[i]] {
				n = max(n, match(v.text, i, value))
			}
			if n == 0 {
				continue
			}
			if !hide(v.from[i], v.to[i+n-1]) {
				return
			}
			// Another value may begin in this one's end. Looking for it from
			// every byte of a long piece would take the square of its length.
			i += max(0, n-2*telling)
		}
	}
}

// telling is how many bytes of a long value are enough to recognise it.
const telling = 16

// match is the length of the piece of text at i that is value, or a beginning
// of value long enough to tell tokens or people apart (a provider may shorten
// what it echoes); 0 when it is neither.
func match(text string, i int, value string) int {
	n := 0
	for n < len(value) && i+n < len(text) && value[n] == text[i+n] {
		n++
	}
	whole := n == len(value)
	switch {
	case whole && (n >= short || isWord(text, i, i+n)):
	case !whole && n >= 6 && (n >= telling || 2*n >= len(value)):
	default:
		return 0
	}
	return n
}

// isWord reports whether text[from:to] is no part of a longer word.
func isWord(text string, from, to int) bool {
	return (from == 0 || !isLetter(text[from-1])) && (to == len(text) || !isLetter(text[to]))
}

func isLetter(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= utf8.RuneSelf
}
