package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// One record makes CleverTap fail with a 503 whenever it is in the call. The
// others are delivered although the provider looks down at first, and the one
// dies only after MAX_ATTEMPTS rounds in which others were accepted.
func TestRecordThatBreaksTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, append(hundred, "PROVIDERS=clevertap", "MAX_ATTEMPTS=2", "MAX_ATTEMPTS_AGE=1ms")...)
	w.fault(event.CleverTap, sandbox.Rule{Token: sandbox.Match{Is: "poison"}, Effect: sandbox.Status, Status: 503})
	w.start()
	batch := registrations(0, 100)
	batch[33] = registrationOf("poison")
	w.put(batch...)
	good := slices.Delete(tokens(0, 100), 33, 34)
	eventually(t, "the other 99 are delivered", func() bool { return w.report(event.CleverTap).Accepted >= len(good) })
	if letters := w.letters(""); len(letters) != 0 {
		t.Fatalf("%d letters while nothing else was accepted, want none: %+v", len(letters), letters)
	}
	more := 100
	eventually(t, "the one dies once others are accepted beside it", func() bool {
		w.put(registrations(more, 100)...) // a full batch goes at once
		good = append(good, tokens(more, 100)...)
		more += 100
		return len(w.letters("")) > 0
	})
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, good...)
	letters := w.letters("")
	if len(letters) != 1 || letters[0].code != "http_503" || len(byToken(letters, "poison")) != 1 {
		t.Errorf("letters: %s", fmt.Sprintf("%+v", letters))
	}
}
