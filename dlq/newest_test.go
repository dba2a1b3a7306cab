package dlq_test

import (
	"slices"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Large letters are read a few at a time, wherever they stand: what is
// received before the first is there is far less than all of them, 36 MB.
func TestNewestOfLargeLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.fillLarge(200, 60_000)
		w.fill(1500)
	}
	var all []uint64
	for _, l := range w.stored() {
		if l.Code == "http_400" {
			all = append(all, l.Seq)
		}
	}
	slices.Reverse(all)
	if len(all) != 600 {
		t.Fatalf("%d large letters", len(all))
	}
	for _, limit := range []int{0, 1, 150, 170, 450, 1000} {
		for _, content := range []dlq.Content{dlq.Whole, dlq.Headers} {
			want := all
			if limit > 0 {
				want = all[:min(limit, len(all))]
			}
			f, before := dlq.Filter{Code: "http_400", Limit: limit}, w.js.Conn().Stats().InBytes
			var got []uint64
			for l, err := range w.reader().Newest(t.Context(), f, 0, content) {
				if err != nil {
					t.Fatal(err)
				}
				if received := w.js.Conn().Stats().InBytes - before; len(got) == 0 && received > 24<<20 {
					t.Errorf("limit %d: %d bytes were received before the first letter", limit, received)
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

// No letter has the empty id, which in a filter means all.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{}, dlq.Letter{})
	if found, err := w.reader().Find(t.Context(), ""); err != nil || len(found) != 0 {
		t.Errorf("%d letters, %v", len(found), err)
	}
}
