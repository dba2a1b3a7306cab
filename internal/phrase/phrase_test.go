package phrase_test

import (
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

func TestPhrases(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{phrase.Thousands(0), "0"},
		{phrase.Thousands(999), "999"},
		{phrase.Thousands(1000), "1 000"},
		{phrase.Thousands(1234567), "1 234 567"},
		{phrase.Thousands(-123), "-123"},
		{phrase.Thousands(-1234), "-1 234"},
		{phrase.Plural(1, "letter"), "1 letter"},
		{phrase.Plural(0, "letter"), "0 letters"},
		{phrase.Plural(2000, "letter"), "2 000 letters"},
		{phrase.Searched(0), ""},
		{phrase.Searched(1), "1 stored message could not be read as an event and was searched as text"},
		{phrase.Searched(1000), "1 000 stored messages could not be read as events and were searched as text"},
		{phrase.Times(0), "never"},
		{phrase.Times(2), "twice"},
		{phrase.Times(3), "3 times"},
		{phrase.Generations(map[int]int{3: 1, 0: 3000, 1: 2}), "never: 3 000, once: 2, 3 times: 1"},
		{phrase.When(noon), "2026-01-31 12:00:00Z"},
		{phrase.Ago(noon.Add(-119*time.Second), noon), "119s ago"},
		{phrase.Ago(noon.Add(-2*time.Minute), noon), "2m ago"},
		{phrase.Ago(noon.Add(-47*time.Hour), noon), "47h ago"},
		{phrase.Ago(noon.Add(-48*time.Hour), noon), "2d ago"},
		{phrase.Ago(noon.Add(time.Second), noon), "in the future"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
