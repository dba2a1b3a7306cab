package dlq_test

import (
	"slices"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Large letters are read a few at a time, wherever they stand: before the first
// is there, less is received than the 36 MB of those that stand together.
func TestNewestOfLargeLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, n := range []int{50, 150, 600} {
		w.fillLarge(n, 60_000)
		w.fill(1500)
	}
	var all []uint64
	for _, l := range w.stored() {
		if l.Code == "http_400" {
			all = append(all, l.Seq)
		}
	}
	slices.Reverse(all)
	if len(all) != 800 {
		t.Fatalf("%d large letters", len(all))
	}
	for _, limit := range []int{0, 1, 150, 170, 700, 1000} {
		for _, content := range []dlq.Content{dlq.Whole, dlq.Headers} {
			want := all
			if limit > 0 {
				want = all[:min(limit, len(all))]
			}
			f, before := dlq.Filter{Code: "http_400", Limit: limit}, w.js.Conn().Stats().InBytes
			var got []uint64
			for l, err := range w.reader().Newest(t.Context(), f, dlq.End, content) {
				if err != nil {
					t.Fatal(err)
				}
				if received := w.js.Conn().Stats().InBytes - before; len(got) == 0 && received > 28<<20 {
					t.Errorf("limit %d: %d bytes had come before the first letter", limit, received)
				}
				if len(l.Body) != map[dlq.Content]int{dlq.Whole: 60_000}[content] {
					t.Errorf("a body of %d bytes", len(l.Body))
				}
				got = append(got, l.Seq)
			}
			if !slices.Equal(got, want) {
				t.Errorf("limit %d: %d letters, want %d", limit, len(got), len(want))
			}
		}
	}
}

// An id says where to look first, and no more: a plain client may have set it.
func TestFindAnIdOfAnotherProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{Provider: "clevertap", Replayed: true, Header: replayed("courier:1:2", 1)}, dlq.Letter{})
	found, err := w.reader().Find(t.Context(), "courier:1:2")
	if err != nil || len(found) != 1 || found[0].Provider != "clevertap" {
		t.Errorf("%v, %v", found, err)
	}
}

// No letter has the empty id, which in a filter means all.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{}, dlq.Letter{})
	if found, err := w.reader().Find(t.Context(), ""); err != nil || len(found) != 0 {
		t.Errorf("%d letters, %v", len(found), err)
	}
}
