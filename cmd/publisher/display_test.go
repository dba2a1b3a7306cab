package main

import (
	"strings"
	"testing"
	"time"
)

func TestDisplay(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	at := func(n int64) position {
		return position{Line: n, Offset: n * 10, Counts: counts{Stored: n - 2, Duplicates: 1, Rejected: 1}}
	}
	show := func(terminal bool, size int64) string {
		var out strings.Builder
		d := newDisplay(&out, terminal, size, begin)
		d.show(begin.Add(10*time.Millisecond), at(10))
		d.show(begin.Add(plainEvery), at(100))
		d.note("a note")
		d.show(begin.Add(plainEvery+10*time.Millisecond), at(110))
		d.show(begin.Add(plainEvery*3), at(300))
		d.end()
		return out.String()
	}
	want := "line 100: 99 events, 1 rejected, 25 %, 20 lines/s\na note\nline 300: 299 events, 1 rejected, 75 %, 20 lines/s\n"
	if got := show(false, 4000); got != want {
		t.Errorf("plain:\n%s", got)
	}
	if got := show(false, -1); got != strings.NewReplacer(", 25 %", "", ", 75 %", "").Replace(want) {
		t.Errorf("plain, of unknown size:\n%s", got)
	}
	for _, size := range []int64{4000, -1} {
		got := show(true, size)
		if !strings.Contains(got, "99 events, 1 rejected") || !strings.Contains(got, "299 events, 1 rejected") ||
			!strings.Contains(got, "a note\n") || strings.Count(got, "\n") > 1 {
			t.Errorf("a bar of %d:\n%q", size, got)
		}
	}
}
