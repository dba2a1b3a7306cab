package delivery

import (
	"slices"
	"testing"
)

func TestJoinFillsUpAndKeepsAlone(t *testing.T) {
	t.Parallel()
	items := func(n int) []*item {
		list := make([]*item, n)
		for i := range list {
			list[i] = &item{}
		}
		return list
	}
	for _, c := range []struct {
		name string
		play func(j *job)
		want []int // records of the segments, in the order they are worked on
	}{
		{"a batch after a job that was called before", func(j *job) { j.join(items(20), "age", 100) }, []int{60, 20}},
		{"a trickle is one batch", func(j *job) {
			for range 30 {
				j.join(items(1), "age", 100)
			}
		}, []int{60, 30}},
		{"none is over the limit", func(j *job) {
			j.join(items(70), "age", 100)
			j.join(items(40), "age", 100)
			j.join(items(60), "age", 100)
		}, []int{60, 70, 100}},
		{"alone stays alone", func(j *job) {
			j.join(items(1), triggerSplit, 1)
			j.join(items(5), "age", 100)
			j.join(items(1), triggerSplit, 1)
			j.join(items(1), triggerSplit, 1)
			j.join(items(5), "age", 100)
		}, []int{60, 1, 5, 1, 1, 5}},
		{"one record a call", func(j *job) {
			j.join(items(1), "count", 1)
			j.join(items(1), "count", 1)
		}, []int{60, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(items(60), "count")
			j.stack[0].counted = true
			c.play(j)
			var sizes []int
			for next, some := j.pop(); some; next, some = j.pop() {
				sizes = append(sizes, len(next.items))
			}
			if !slices.Equal(sizes, c.want) {
				t.Errorf("segments of %v records, want %v", sizes, c.want)
			}
		})
	}
}
