package dlq_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Whatever headers an event came with, its letter can be stored: else its
// worker would try for ever.
func TestLettersOfHostileHeaders(t *testing.T) {
	t.Parallel()
	many := nats.Header{}
	for i := range 3000 {
		many[fmt.Sprintf("Nats-%d", i)] = []string{"x"}
	}
	longHistory := replayed("the-id", 1)
	longHistory.Set(dlq.HeaderHistory, `[{"code":"`+strings.Repeat("x", 63<<10)+`"}]`)
	for name, c := range map[string]struct {
		header  nats.Header
		leftOut bool
	}{
		"a name that only other clients write": {nats.Header{"X/Y": {"1"}, "X Y": {"2"}, "é": {"3"}, "X-App": {"shop"}}, true},
		"as many headers as an event may have": {nats.Header{"X-App": {strings.Repeat("x", 64<<10-100)}}, true},
		"many that get a longer name":          {many, true},
		"a history that is none of ours":       {longHistory, false},
		"ordinary ones":                        {nats.Header{"X-App": {"shop"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(dlq.Letter{Header: c.header, Replayed: true})
			l := w.only()
			if got := l.Header.Get("Dlq-Original-Headers-Left-Out") == "true"; got != c.leftOut {
				t.Errorf("left out: %v", got)
			}
			if len(l.History) != 1 || l.History[0].Code != "http_400" {
				t.Errorf("history of %d deaths", len(l.History))
			}
			if len(c.header["X-App"]) > 0 && len(c.header.Get("X-App")) < 100 && l.Header.Get("X-App") != "shop" {
				t.Errorf("X-App is %q", l.Header.Get("X-App"))
			}
		})
	}
}

// A letter's id is part of a message id, where no control character may stand.
func TestIDOfALetterHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"app\u0085id": "app id", "a\u009fb\x7fc": "a b c", "é": "é"} {
		w := newWorld(t)
		w.put(dlq.Letter{Header: replayed(id, 1), Replayed: true})
		l := w.only()
		exported := l.Exported()
		if _, _, _, err := exported.Replay(); err != nil || l.ID != want {
			t.Errorf("%q is stored as %q: %v", id, l.ID, err)
		}
	}
}
