package browsertest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keystroke reads a key as Press takes it.
func keystroke(key string) (keys string, options []chromedp.KeyOption, err error) {
	name, shift := strings.CutPrefix(key, "Shift+")
	if shift {
		options = append(options, chromedp.KeyModifiers(kb.ModifierShift))
	}
	known := map[string]string{
		"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ",
		"Backspace": kb.Backspace, "Delete": kb.Delete,
		"ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
		"Home": kb.Home, "End": kb.End, "PageUp": kb.PageUp, "PageDown": kb.PageDown,
	}
	if keys, ok := known[name]; ok {
		return keys, options, nil
	}
	if utf8.RuneCountInString(name) == 1 {
		return name, options, nil
	}
	return "", nil, fmt.Errorf("%q is no key: see Press", key)
}
