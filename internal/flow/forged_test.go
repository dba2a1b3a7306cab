package flow

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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

func TestWhatRefusesTheLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.EOF, false},
		{nats.ErrStaleConnection, false},
		{nats.ErrPermissionViolation, false},
		{nats.ErrAuthorization, true},
		{fmt.Errorf("said: %w", nats.ErrAuthExpired), true},
		{nats.ErrAuthRevoked, true},
		{nats.ErrAccountAuthExpired, true},
		{errors.New("nats: Authorization Violation"), true},
		{errors.New("nats: User Authentication Expired"), true},
		{errors.New("nats: User Authentication Revoked"), true},
		{errors.New("nats: Account Authentication Expired"), true},
	} {
		if got := refusesLogin(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}

// The broker's clock may be ahead of ours; whatever it is, what waits gets older.
func TestTheOldestWaitsOn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for stored, want := range map[time.Duration]time.Duration{
		-time.Minute: 2 * time.Minute,
		time.Hour:    time.Minute,
	} {
		var p Provider
		answer{known: true, waiting: 1, oldest: now.Add(stored), at: now}.show(now.Add(time.Minute), &p)
		if p.Oldest != want {
			t.Errorf("stored %s from the answer: %s a minute later, want %s", stored, p.Oldest, want)
		}
	}
	var p Provider
	answer{paused: now.Add(time.Second)}.show(now.Add(time.Minute), &p)
	if !p.PausedUntil.IsZero() || p.Oldest != 0 {
		t.Errorf("a pause that is over: %+v", p)
	}
}
