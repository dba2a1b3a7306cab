package flow

import (
	"math"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

const (
	// mostPods bounds what is remembered: anybody in the account may announce.
	mostPods = 1000
	// silentRounds is how many rounds a pod may be silent and still counts.
	silentRounds = 3
	// rateRounds is how many announcements a rate looks back.
	rateRounds = 5
)

// books add up what the pods announce. They are pure: whoever calls says what
// time it is. A pod's clock is never compared with ours.
type books struct {
	since     time.Time
	fromZero  time.Time // a pod that started later counts from 0, another from its first announcement
	round     int       // goes on only while the broker gives a sign of life
	pods      map[string]*pod
	providers map[string]*account
}

// account is one provider's, over all pods.
type account struct {
	delivered, dead uint64
	plot            plot
}

// pod is what one worker has announced. It is remembered after its end, for
// that it is not counted again.
type pod struct {
	fresh     bool          // it started under our eyes
	heard     time.Time     // last
	age       time.Duration // at its last announcement, by its own clock
	round     int           // the same
	ended     bool
	providers map[string]*tally
}

// tally is the last that a pod announced of one provider.
type tally struct {
	Figures
	samples []sample // the last few, oldest first
}

// sample is what was delivered at one age of the pod.
type sample struct {
	age       time.Duration
	delivered uint64
}

func newBooks(since time.Time) *books {
	b := &books{since: since, fromZero: since, pods: map[string]*pod{}, providers: map[string]*account{}}
	for _, name := range event.Providers() {
		b.providers[name] = &account{}
	}
	return b
}

// hear notes one announcement.
func (b *books) hear(now time.Time, a *Announcement) {
	p := b.pods[a.Pod]
	if p == nil {
		if !b.makeRoom() {
			return
		}
		p = &pod{fresh: !now.Add(-a.age()).Before(b.fromZero), providers: map[string]*tally{}}
		b.pods[a.Pod] = p
	} else if !p.mayBe(now, a) {
		return
	}
	p.heard, p.age, p.round, p.ended = now, a.age(), b.round, a.Ended
	for name, figures := range a.Providers {
		if account := b.providers[name]; account != nil {
			delivered, dead := p.note(name, a.age(), figures)
			account.add(now.Sub(b.since), delivered, dead)
		}
	}
}

// mayBe tells whether a pod can have come so far since it was last heard. Its
// clock and ours must both allow it.
func (p *pod) mayBe(now time.Time, a *Announcement) bool {
	passed := min(now.Sub(p.heard), a.age()-p.age)
	for name, figures := range a.Providers {
		if t := p.providers[name]; t != nil && !possible(t.Figures, figures, passed) {
			return false
		}
	}
	return true
}

// note takes over a pod's figures and returns what they have grown by.
func (p *pod) note(name string, age time.Duration, figures Figures) (delivered, dead uint64) {
	t := p.providers[name]
	if t == nil {
		t = &tally{}
		if p.fresh {
			t.samples = []sample{{}}
		} else {
			t.Figures = figures
		}
		p.providers[name] = t
	}
	before := t.Figures
	t.Figures = figures
	t.Delivered, t.Dead = max(before.Delivered, figures.Delivered), max(before.Dead, figures.Dead)
	if n := len(t.samples); n == 0 || age > t.samples[n-1].age {
		if n > rateRounds {
			t.samples = append(t.samples[:0], t.samples[1:]...)
		}
		t.samples = append(t.samples, sample{age, t.Delivered})
	}
	return t.Delivered - before.Delivered, t.Dead - before.Dead
}

// rate is in deliveries a second, by the pod's own clock.
func (t *tally) rate() float64 {
	if len(t.samples) < 2 {
		return 0
	}
	first, last := t.samples[0], t.samples[len(t.samples)-1]
	return min(mostRate, float64(last.delivered-first.delivered)/(last.age-first.age).Seconds())
}

// add stops at the largest number there is, so that no count ever goes down.
func (a *account) add(passed time.Duration, delivered, dead uint64) {
	delivered, dead = min(delivered, math.MaxUint64-a.delivered), min(dead, math.MaxUint64-a.dead)
	a.delivered, a.dead = a.delivered+delivered, a.dead+dead
	point := a.plot.at(passed)
	point.Delivered, point.Dead = point.Delivered+delivered, point.Dead+dead
}

// live tells whether a pod is still there.
func (b *books) live(p *pod) bool { return !p.ended && b.round-p.round <= silentRounds }

// goOn gives the pods that were there when the broker went away their rounds
// anew: they too have to find it again.
func (b *books) goOn() {
	for _, p := range b.pods {
		if b.live(p) {
			p.round = b.round
		}
	}
}

// makeRoom forgets the pod that was heard the longest ago when there are too
// many. Should it come back it must not count from 0 once more, and neither
// may any other that is as old.
func (b *books) makeRoom() bool {
	if len(b.pods) < mostPods {
		return true
	}
	oldest := ""
	for name, p := range b.pods {
		if !b.live(p) && (oldest == "" || p.heard.Before(b.pods[oldest].heard)) {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	if gone := b.pods[oldest].heard; gone.After(b.fromZero) {
		b.fromZero = gone
	}
	delete(b.pods, oldest)
	return true
}

// show writes what is known of a provider into p.
func (b *books) show(now time.Time, p *Provider) {
	account := b.providers[p.Name]
	account.plot.at(now.Sub(b.since))
	p.Delivered, p.Dead, p.Plot = account.delivered, account.dead, account.plot.points
	for _, pod := range b.pods {
		t := pod.providers[p.Name]
		if t == nil || !b.live(pod) {
			continue
		}
		p.Pods++
		p.Rate += t.rate()
		p.OpenCalls += int(t.OpenCalls)
		p.PermitCap = max(p.PermitCap, int(t.PermitCap))
	}
}
