package dlq

import (
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostSpellings bounds the work for a text that can be read in many ways.
const mostSpellings = 32

// spellings are the text and what it may mean: with the escapes of JSON,
// Python, URLs, forms and HTML undone, from Latin-1 when it is no UTF-8,
// without the zeros of UTF-16; one upon the other.
func spellings(text string) []string {
	readings := []func(string) string{unescapeText, unescapeBytes, unpercent, unescapeForm, html.UnescapeString, fromLatin1, withoutZeros}
	list := []string{text}
	for i := 0; i < len(list) && len(list) < mostSpellings; i++ {
		for _, read := range readings {
			if another := read(list[i]); !slices.Contains(list, another) {
				list = append(list, another)
			}
		}
	}
	return list
}

// In a text of Python \xHH is a character, in its bytes and in C a byte.
func unescapeText(text string) string  { return unescape(text, false) }
func unescapeBytes(text string) string { return unescape(text, true) }

// unescape undoes \n, \", \/ and the like, \xHH, \uHHHH and \UHHHHHHHH. What
// is no escape stays.
func unescape(text string, ofBytes bool) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out = append(out, text[i])
			continue
		}
		i++
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[i]]
		code, isCode := hexadecimal(text[i+1:], digits)
		switch {
		case isCode && digits == 2 && ofBytes:
			out = append(out, byte(code))
		case isCode:
			i += digits
			if low, more := strings.CutPrefix(text[i+1:], `\u`); more && 0xd800 <= code && code < 0xdc00 {
				if second, ok := hexadecimal(low, 4); ok && 0xdc00 <= second && second < 0xe000 {
					code = 0x10000 + (code-0xd800)<<10 + second - 0xdc00
					i += 6
				}
			}
			out = utf8.AppendRune(out, code)
			continue
		case strings.IndexByte("abfnrtv0", text[i]) >= 0:
			out = append(out, ' ')
		default:
			out = append(out, text[i])
		}
		if isCode {
			i += digits
		}
	}
	return string(out)
}

func hexadecimal(text string, digits int) (rune, bool) {
	if digits == 0 || len(text) < digits {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:digits], 16, 31)
	return rune(n), err == nil // over 31 bits it is none
}

// unescapeForm is for what a form writes: a space is a plus there.
func unescapeForm(text string) string { return unpercent(strings.ReplaceAll(text, "+", " ")) }

// unpercent undoes %HH of URLs.
func unpercent(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			if code, isCode := hexadecimal(text[i+1:], 2); isCode {
				out = append(out, byte(code))
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

func fromLatin1(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out []byte
	for i := range len(text) {
		out = utf8.AppendRune(out, rune(text[i]))
	}
	return string(out)
}

func withoutZeros(text string) string { return strings.ReplaceAll(text, "\x00", "") }

// hasWord reports whether a word stands in a text with nothing around it that
// could be part of it.
func hasWord(text, word string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		if !endsInID(text[:from+at]) && !beginsInID(text[from+at+len(word):]) {
			return true
		}
		from += at + 1
	}
}

// endsInID reports whether an id would go on from this text: it ends in a
// letter or a digit, or in one and what joins it to the next.
func endsInID(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	if isJoint(r) {
		r, _ = utf8.DecodeLastRuneInString(text[:len(text)-size])
	}
	return isOfID(r)
}

func beginsInID(text string) bool {
	r, size := utf8.DecodeRuneInString(text)
	if isJoint(r) {
		r, _ = utf8.DecodeRuneInString(text[size:])
	}
	return isOfID(r)
}

func isJoint(r rune) bool { return strings.ContainsRune("-_.@+~", r) }

func isOfID(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
