package delivery

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Two thousand letters a second for a minute are a few lines: the first of
// each code at once, then a count every ten seconds that misses none.
func TestLettersAreToldWithinBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		o := newObituaries(slog.New(slog.NewTextHandler(&text, nil)))
		go o.run(t.Context())
		o.add(death{code: "530", reason: "bad id"}, 1)
		if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="event died" code=530 reason="bad id" stream_seq=1`) {
			t.Fatalf("the first: %s", got)
		}
		const each = 20_000
		for range 6 {
			for n := range each {
				o.add(death{code: "invalid_event", reason: fmt.Sprint("reason ", n)}, 2)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		o.add(death{code: "530", reason: "bad id"}, 3)
		got := text.String()
		if n := strings.Count(got, "\n"); n != 9 {
			t.Errorf("%d lines, want 3 of single letters and 6 counts:\n%s", n, got)
		}
		if n := strings.Count(got, `msg="events died" code=invalid_event count=20000`); n != 5 || !strings.Contains(got, "count=19999") {
			t.Errorf("not all are counted:\n%s", got)
		}
		for n := range 1000 {
			o.add(death{code: fmt.Sprint("made_up_", n)}, 4)
		}
		if n := strings.Count(text.String(), "\n"); n > 9+mostCodes {
			t.Errorf("%d lines of made up codes", n-9)
		}
	})
}
