package flow

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// A pod that is known may not jump either, neither by its own clock nor by ours.
func TestAnImpossibleJumpIsNotHeard(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		second    told
		delivered uint64
		pods      int
	}{
		"a usual one":                     {told{at: 7 * s, age: 3 * s, delivered: 5000}, 5000, 1},
		"its clock has not gone on":       {told{at: 60 * s, age: 1 * s, delivered: 100 * mostRate}, 40, 1},
		"its clock has gone back":         {told{at: 60 * s, age: 0, delivered: 100 * mostRate}, 40, 1},
		"ours has not":                    {told{at: 5 * s, age: 1000 * s, delivered: 900 * mostRate}, 40, 1},
		"what is refused does not end it": {told{at: 5 * s, age: 1 * s, delivered: 100 * mostRate, ended: true}, 40, 1},
		"after a gap it may":              {told{at: 1005 * s, age: 1001 * s, delivered: 900 * mostRate}, 900 * mostRate, 1},
		"dead ones":                       {told{at: 6 * s, age: 2 * s, delivered: 50, dead: 100 * mostRate}, 40, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(time.Now())
			c.second.pod = "a"
			b.hearTold(told{at: 5 * s, pod: "a", age: 1 * s, delivered: 40}, c.second)
			if p := b.cleverTap(2000 * s); p.Delivered != c.delivered || p.Pods != c.pods {
				t.Errorf("%d delivered by %d pods, want %d by %d", p.Delivered, p.Pods, c.delivered, c.pods)
			}
		})
	}
}

// The most that forged announcements bring about is still a figure.
func TestForgedRatesStayFinite(t *testing.T) {
	t.Parallel()
	b := newBooks(time.Now())
	for i := range mostPods {
		pod := fmt.Sprint("forged-", i)
		b.hearTold(told{at: time.Second, pod: pod, age: 50 * 365 * 24 * time.Hour, delivered: 1},
			told{at: time.Second, pod: pod, age: 50*365*24*time.Hour + time.Millisecond, delivered: mostRate})
	}
	if p := b.cleverTap(time.Second); p.Pods != mostPods || !(p.Rate >= 0 && p.Rate <= mostPods*mostRate) || math.IsInf(p.Rate, 0) {
		t.Errorf("%v a second by %d pods", p.Rate, p.Pods)
	}
}

// When the broker is back every pod that was there has its rounds anew, and is
// gone after them.
func TestPodsHaveTheirRoundsAnewWhenTheBrokerIsBack(t *testing.T) {
	t.Parallel()
	b := newBooks(time.Now())
	b.hearTold(told{at: time.Second, pod: "gone before", delivered: 1})
	b.round = 1
	b.hearTold(told{at: time.Second, pod: "a", delivered: 1}, told{at: time.Second, pod: "ended", ended: true})
	b.round = 1 + silentRounds
	b.goOn()
	for want := 1; want >= 0; want-- {
		if p := b.cleverTap(time.Second); p.Pods != want {
			t.Errorf("%d pods in round %d, want %d", p.Pods, b.round, want)
		}
		b.round += silentRounds
		if p := b.cleverTap(time.Second); p.Pods != want {
			t.Errorf("%d pods in round %d, want %d", p.Pods, b.round, want)
		}
		b.round++
	}
}
