package dlq

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	digitsOfID = 4  // in a word: an identifier
	lengthOfID = 32 // bytes of a word without anything that joins it: one, too
	joints     = "_-.:/@"
)

// Normalise folds what differs from letter to letter out of a reason, so that
// letters that died of the same thing fall into one group: numbers become #,
// identifiers become [id]. The code's own number stays: it is what people
// look for. Normalising twice changes nothing.
func Normalise(code, reason string) string {
	number := strings.TrimPrefix(code, "http_")
	for {
		folded := foldWords(reason, number)
		if folded == reason {
			return folded
		}
		reason = folded // what is left of a word may be foldable now
	}
}

func foldWords(text, number string) string {
	var out strings.Builder
	space := true // none at the beginning, and one at a time
	for text != "" {
		if size := wordSize(text); size > 0 {
			out.WriteString(foldWord(text[:size], number))
			text, space = text[size:], false
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case !unicode.IsSpace(r):
			out.WriteString(text[:size])
			space = false
		case !space:
			out.WriteByte(' ')
			space = true
		}
		text = text[size:]
	}
	return strings.TrimSpace(out.String())
}

// wordSize is the length of the word that s begins with: letters, digits and
// what joins them in identifiers.
func wordSize(s string) int {
	end := len(s)
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (i == 0 || !strings.ContainsRune(joints, r)) {
			end = i
			break
		}
	}
	return len(strings.TrimRight(s[:end], joints))
}

func foldWord(word, number string) string {
	digits, letters := 0, false
	for _, r := range word {
		if unicode.IsDigit(r) {
			digits++
		}
		letters = letters || unicode.IsLetter(r)
	}
	switch {
	case word == number, word == "keys.p256dh": // a field of ours
		return word
	case digits == 0 && (len(word) < lengthOfID || strings.ContainsAny(word, joints)):
		return word
	case digits == 0, digits >= digitsOfID && letters:
		return "[id]"
	}
	var out strings.Builder
	inside := false
	for _, r := range word {
		if digit := unicode.IsDigit(r); !digit {
			out.WriteRune(r)
		} else if !inside {
			out.WriteByte('#')
		}
		inside = unicode.IsDigit(r)
	}
	return out.String()
}
