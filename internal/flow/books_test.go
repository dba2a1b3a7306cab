package flow

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/event"
)

// told is one announcement of CleverTap alone, and when it is heard.
type told struct {
	at              time.Duration // since the watch began
	pod             string
	age             time.Duration
	delivered, dead uint64
	ended           bool
}

func (b *books) hearTold(all ...told) {
	for _, a := range all {
		b.hear(b.since.Add(a.at), &Announcement{Pod: a.pod, AgeMS: a.age.Milliseconds(), Ended: a.ended,
			Providers: map[string]Figures{event.CleverTap: {Delivered: a.delivered, Dead: a.dead}}})
	}
}

func (b *books) cleverTap(passed time.Duration) Provider {
	p := Provider{Name: event.CleverTap}
	b.show(b.since.Add(passed), &p)
	return p
}

func TestCounting(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		heard           []told
		delivered, dead uint64
		pods            int
	}{
		"nothing": {},
		"a pod that was there before counts from its first announcement": {
			[]told{{1 * s, "a", 60 * s, 900, 90, false}}, 0, 0, 1},
		"and on from there": {
			[]told{{1 * s, "a", 60 * s, 900, 90, false}, {3 * s, "a", 62 * s, 1000, 91, false}}, 100, 1, 1},
		"a pod that started since counts from 0": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}}, 40, 2, 1},
		"a pod whose only announcement is its last": {
			[]told{{5 * s, "a", 1 * s, 40, 2, true}}, 40, 2, 0},
		"a pod that was there before and ends unheard": {
			[]told{{5 * s, "a", 9 * s, 40, 2, true}}, 0, 0, 0},
		"its last announcement counts": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}, {6 * s, "a", 2 * s, 45, 3, true}}, 45, 3, 0},
		"two pods": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}, {6 * s, "b", 2 * s, 5, 1, false}}, 45, 3, 2},
		"a restart is a new name": {
			[]told{{5 * s, "a", 1 * s, 40, 2, true}, {9 * s, "b", 1 * s, 5, 1, false}}, 45, 3, 1},
		"counts never go down": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}, {6 * s, "a", 2 * s, 10, 0, false}, {7 * s, "a", 3 * s, 41, 2, false}}, 41, 2, 1},
		"the same once more": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}, {5 * s, "a", 1 * s, 40, 2, false}}, 40, 2, 1},
		"a gap is made good": {
			[]told{{5 * s, "a", 1 * s, 40, 2, false}, {500 * s, "a", 496 * s, 4000, 20, false}}, 4000, 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(time.Now())
			b.hearTold(c.heard...)
			p := b.cleverTap(600 * s)
			if p.Delivered != c.delivered || p.Dead != c.dead || p.Pods != c.pods {
				t.Errorf("%d delivered, %d dead, %d pods; want %d, %d, %d", p.Delivered, p.Dead, p.Pods, c.delivered, c.dead, c.pods)
			}
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	const s = time.Second
	b := newBooks(time.Now())
	want := func(at time.Duration, rate float64) {
		t.Helper()
		if p := b.cleverTap(at); math.Abs(p.Rate-rate) > 1e-9 {
			t.Errorf("%v a second after %s, want %v", p.Rate, at, rate)
		}
	}
	b.hearTold(told{at: 1 * s, pod: "old", age: 100 * s, delivered: 5000})
	want(1*s, 0) // from one announcement nobody knows how fast
	b.hearTold(told{at: 3 * s, pod: "old", age: 102 * s, delivered: 5400})
	want(3*s, 200)
	b.hearTold(told{at: 4 * s, pod: "new", age: 2 * s, delivered: 20})
	want(4*s, 210)
	for at := 5 * s; at <= 13*s; at += 2 * s { // nothing more: it fades out in ten seconds
		b.hearTold(told{at: at, pod: "old", age: 99*s + at, delivered: 5400})
	}
	want(14*s, 10)
	b.hearTold(told{at: 15 * s, pod: "new", age: 13 * s, delivered: 20, ended: true})
	want(15*s, 0)
}

func TestASilentPodIsGoneAfterThreeRounds(t *testing.T) {
	t.Parallel()
	b := newBooks(time.Now())
	b.hear(b.since, &Announcement{Pod: "a", Providers: map[string]Figures{event.CleverTap: {OpenCalls: 3, PermitCap: 5}, event.Courier: {OpenCalls: 9}, "nobody": {}}})
	for round := range 6 {
		p, pods := b.cleverTap(0), 1
		if round > silentRounds {
			pods = 0
		}
		if p.Pods != pods || p.OpenCalls != 3*pods || p.PermitCap != 5*pods {
			t.Errorf("round %d: %d pods, %d open calls, cap %d", round, p.Pods, p.OpenCalls, p.PermitCap)
		}
		b.round++
	}
}

// Whoever may publish may make up pods; only so many are remembered, those
// that are there are never forgotten for them, and who is forgotten and comes
// back is not counted twice.
func TestPodsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBooks(time.Now())
	for i := range 3 * mostPods {
		b.hearTold(told{at: time.Second, pod: fmt.Sprint("flood-", i), delivered: 1})
	}
	if p := b.cleverTap(time.Second); len(b.pods) != mostPods || p.Delivered != mostPods || p.Pods != mostPods {
		t.Errorf("%d pods remembered, %d shown, %d delivered", len(b.pods), p.Pods, p.Delivered)
	}
	b.round += silentRounds + 1
	b.hearTold(told{at: 20 * time.Second, pod: "late", age: time.Second, delivered: 10})
	if p := b.cleverTap(20 * time.Second); len(b.pods) != mostPods || p.Delivered != mostPods+10 || p.Pods != 1 {
		t.Errorf("%d pods remembered, %d shown, %d delivered after one more", len(b.pods), p.Pods, p.Delivered)
	}
	forgotten := ""
	for i := range mostPods {
		if name := fmt.Sprint("flood-", i); b.pods[name] == nil {
			forgotten = name
		}
	}
	b.hearTold(told{at: 21 * time.Second, pod: forgotten, age: 21 * time.Second, delivered: 4})
	if p := b.cleverTap(21 * time.Second); p.Delivered != mostPods+10 {
		t.Errorf("%d delivered after a forgotten pod came back, want %d", p.Delivered, mostPods+10)
	}
	b.hearTold(told{at: 22 * time.Second, pod: "flood-0 again", age: time.Second, delivered: 5})
	if p := b.cleverTap(22 * time.Second); p.Delivered != mostPods+15 {
		t.Errorf("%d delivered after a new pod, want %d", p.Delivered, mostPods+15)
	}
}

// Whatever is announced, at whatever times: the points are the totals, no
// count goes down, and the plot reaches to now.
func TestBooksBalance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBooks(time.Now())
		now := time.Duration(0)
		before := map[string]Provider{}
		counts := rapid.OneOf(rapid.Uint64Range(0, 1000), rapid.Uint64Range(mostCount-2, mostCount), rapid.Uint64())
		for range rapid.IntRange(1, 60).Draw(t, "announcements") {
			now += time.Duration(rapid.OneOf(rapid.Int64Range(-3, 5000), rapid.Int64Range(0, 1<<35)).Draw(t, "passed")) * time.Millisecond
			b.round += rapid.IntRange(0, 2).Draw(t, "rounds")
			a := &Announcement{Pod: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "pod"), AgeMS: rapid.Int64Range(0, mostAge.Milliseconds()).Draw(t, "age"),
				Ended: rapid.Bool().Draw(t, "ended"), Providers: map[string]Figures{}}
			for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{event.CleverTap, event.Courier, "nobody"}), rapid.ID).Draw(t, "providers") {
				a.Providers[name] = Figures{Delivered: counts.Draw(t, "delivered"), Dead: counts.Draw(t, "dead"), OpenCalls: rapid.Uint32().Draw(t, "open")}
			}
			b.hear(b.since.Add(now), a)
			for _, name := range event.Providers() {
				p := Provider{Name: name}
				b.show(b.since.Add(now), &p)
				if sum := sumOf(p.Plot); sum.Delivered != p.Delivered || sum.Dead != p.Dead {
					t.Fatalf("%s: the points sum up to %v, the totals are %d and %d", name, sum, p.Delivered, p.Dead)
				}
				if old := before[name]; p.Delivered < old.Delivered || p.Dead < old.Dead {
					t.Fatalf("%s: from %d and %d down to %d and %d", name, old.Delivered, old.Dead, p.Delivered, p.Dead)
				}
				if step := b.providers[name].plot.step; len(p.Plot) > mostPoints || time.Duration(len(p.Plot))*step <= now {
					t.Fatalf("%s: %d points of %s do not cover %s", name, len(p.Plot), step, now)
				}
				if math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0) || p.Rate < 0 || p.Pods > 4 {
					t.Fatalf("%s: %v a second, %d pods", name, p.Rate, p.Pods)
				}
				before[name] = p
			}
		}
	})
}

// Honest pods, heard now and then: in the end everything is counted that they
// did since they were first heard, or since their start if the watch saw it.
func TestEveryDeliveryIsCountedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBooks(time.Now())
		var want uint64
		for i := range rapid.IntRange(1, 5).Draw(t, "pods") {
			started := time.Duration(rapid.Int64Range(-60_000, 60_000).Draw(t, "started")) * time.Millisecond
			at, done, heard := max(started, 0), uint64(0), false
			if started < 0 {
				done = rapid.Uint64Range(0, 1000).Draw(t, "before")
			}
			for _, more := range rapid.SliceOfN(rapid.Uint64Range(0, 100), 1, 10).Draw(t, "deliveries") {
				at += 2 * time.Second
				done += more
				if heard || started >= 0 {
					want += more
				}
				if rapid.Bool().Draw(t, "heard") {
					b.hearTold(told{at: at, pod: fmt.Sprint(i), age: at - started, delivered: done})
					heard = true
				}
			}
			b.hearTold(told{at: at, pod: fmt.Sprint(i), age: at - started, delivered: done, ended: true})
		}
		if p := b.cleverTap(time.Hour); p.Delivered != want || p.Pods != 0 {
			t.Fatalf("%d delivered by %d pods, want %d by none", p.Delivered, p.Pods, want)
		}
	})
}
