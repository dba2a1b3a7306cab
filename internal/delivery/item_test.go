package delivery

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
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

// A record that fails alone while others are accepted: after 8 rounds it is
// asked less and less often, and only after 3 hours, too, it is given up.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rounds, age = 8, 3 * time.Hour
		it, began, failed := &item{}, time.Now(), 0
		for !it.outOfPatience(rounds, age) {
			if failed++; failed > 100 {
				t.Fatal("it never ends")
			}
			it.failAlone(true, providers.Answer{})
			if d := it.delay(); d < time.Second || d > 5*time.Minute {
				t.Fatalf("a delay of %s", d)
			}
			time.Sleep(it.delay())
		}
		if passed := time.Since(began); passed < age || passed > age+5*time.Minute || it.delay() != 5*time.Minute {
			t.Errorf("given up after %s and %d failures, the last delay being %s", passed, failed, it.delay())
		}
		quick := &item{}
		quick.failAlone(true, providers.Answer{})
		time.Sleep(age)
		if quick.outOfPatience(rounds, age) {
			t.Error("one failure in three hours is enough")
		}
	})
}
