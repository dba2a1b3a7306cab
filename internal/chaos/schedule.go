package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

// kind is what is done to the system, a closed set.
type kind string

// Of pods; of the server that leads a stream; of the line from a pod to what
// it talks to; of a provider.
const (
	killPod   kind = "kill -9"
	freezePod kind = "SIGSTOP" // for longer than the lease
	termPod   kind = "SIGTERM"

	stopLeader   kind = "leader stopped" // in order
	killLeader   kind = "leader killed"
	freezeLeader kind = "leader frozen" // SIGSTOP

	latency   kind = "latency"
	resetPeer kind = "reset"
	silence   kind = "time-out" // nothing comes through

	throttles  kind = "throttles"       // 429 with Retry-After
	errs       kind = "errs"            // 503
	forgets    kind = "errs and stores" // 503, but the records were taken
	hangs      kind = "hangs"           // for less than the lease
	refusesKey kind = "refuses the key" // 401
)

// brokerTarget is the far end of a line that is no provider.
const brokerTarget = "broker"

// action is one fault: when it begins, what it is and how long it stays.
type action struct {
	at, length time.Duration // since the beginning of the run
	kind       kind
	pod        int           // of pods and lines
	target     string        // far end of the line, provider, or stream whose leader it is
	direction  string        // upstream or downstream, of a line
	amount     time.Duration // of a latency or a hang
}

func (a action) String() string {
	switch a.kind {
	case killPod, freezePod, termPod:
		return fmt.Sprintf("pod %d: %s", a.pod, a.kind)
	case stopLeader, killLeader, freezeLeader:
		return fmt.Sprintf("%s of %s", a.kind, a.target)
	case latency:
		return fmt.Sprintf("pod %d to %s: latency of %s %s", a.pod, a.target, a.amount, a.direction)
	case resetPeer, silence:
		return fmt.Sprintf("pod %d to %s: %s %s", a.pod, a.target, a.kind, a.direction)
	case hangs:
		return fmt.Sprintf("%s hangs for %s", a.target, a.amount)
	}
	return fmt.Sprintf("%s %s", a.target, a.kind)
}

// plan is the schedule of a seed, in the order of time. Every action is over
// at the end of the duration; the same arguments give the same plan.
func plan(seed uint64, duration time.Duration, pods int) []action {
	tracks := []func(*draw, time.Duration, int) []action{podTrack, brokerTrack, lineTrack}
	for _, provider := range event.Providers() {
		tracks = append(tracks, func(d *draw, duration time.Duration, _ int) []action { return moodTrack(d, duration, provider) })
	}
	var all []action
	for i, track := range tracks {
		// A source of its own each, so that a change of one leaves the others.
		all = append(all, track(&draw{rand.New(rand.NewPCG(seed, uint64(i)))}, duration, pods)...)
	}
	all = slices.DeleteFunc(all, func(a action) bool { return a.at+a.length > duration })
	slices.SortStableFunc(all, func(a, b action) int { return cmp.Compare(a.at, b.at) })
	return all
}

// draw is where chance comes from.
type draw struct{ *rand.Rand }

// between is a duration from low to high, in milliseconds.
func (d *draw) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Int64N(int64((high-low)/time.Millisecond)+1))*time.Millisecond
}

// turns yields the kinds in rounds, each round in an order of its own, so that
// every kind has its turn early.
func (d *draw) turns(kinds ...kind) func() kind {
	var round []kind
	return func() kind {
		if len(round) == 0 {
			round = slices.Clone(kinds)
			d.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		next := round[0]
		round = round[1:]
		return next
	}
}

func (d *draw) one(names ...string) string { return names[d.IntN(len(names))] }

// podTrack stops pods, several at a time where it comes so.
func podTrack(d *draw, duration time.Duration, pods int) (track []action) {
	const recovery = 1500 * time.Millisecond
	next, busy := d.turns(killPod, freezePod, termPod), make([]time.Duration, pods)
	for at := d.between(time.Second, 2*time.Second); at < duration; at += d.between(time.Second, 3500*time.Millisecond) {
		pod := d.IntN(pods)
		if busy[pod] > at {
			continue
		}
		a := action{at: at, kind: next(), pod: pod}
		switch a.kind {
		case killPod:
			a.length = d.between(100*time.Millisecond, 2*time.Second)
		case freezePod:
			a.length = d.between(lease+500*time.Millisecond, 2*lease)
		case termPod:
			a.length = d.between(0, 500*time.Millisecond)
		}
		busy[pod] = at + a.length + recovery
		track = append(track, a)
	}
	return track
}

// brokerTrack takes one server away at a time and gives the cluster time to
// be three again.
func brokerTrack(d *draw, duration time.Duration, _ int) (track []action) {
	const recovery = 5 * time.Second
	next := d.turns(stopLeader, killLeader, freezeLeader)
	for at := d.between(3*time.Second, 6*time.Second); at < duration; at += d.between(0, 5*time.Second) {
		a := action{at: at, length: d.between(1500*time.Millisecond, 5*time.Second), kind: next(),
			target: d.one(consumer.EventsStream, "KV_"+consumer.FleetBucket, consumer.LettersStream)}
		at += a.length + recovery
		track = append(track, a)
	}
	return track
}

// lineTrack spoils the lines of single pods.
func lineTrack(d *draw, duration time.Duration, pods int) (track []action) {
	type line struct {
		pod    int
		target string
	}
	next, busy := d.turns(latency, resetPeer, silence), map[line]time.Duration{}
	for at := d.between(500*time.Millisecond, 2*time.Second); at < duration; at += d.between(500*time.Millisecond, 3*time.Second) {
		on := line{d.IntN(pods), d.one(append(event.Providers(), brokerTarget)...)}
		if busy[on] > at {
			continue
		}
		a := action{at: at, kind: next(), pod: on.pod, target: on.target, direction: d.one("upstream", "downstream"),
			length: d.between(300*time.Millisecond, lease+time.Second)}
		if a.kind == latency {
			a.amount = d.between(50*time.Millisecond, maxLatency)
		}
		busy[on] = at + a.length + 200*time.Millisecond
		track = append(track, a)
	}
	return track
}

// moodTrack lets a provider misbehave by turns, with good times between.
func moodTrack(d *draw, duration time.Duration, provider string) (track []action) {
	next := d.turns(throttles, errs, forgets, hangs, refusesKey)
	for at := d.between(time.Second, 4*time.Second); at < duration; at += d.between(1500*time.Millisecond, 5*time.Second) {
		a := action{at: at, length: d.between(300*time.Millisecond, 3*time.Second), kind: next(), target: provider}
		if a.kind == hangs {
			a.amount = d.between(500*time.Millisecond, lease-time.Second)
		}
		at += a.length
		track = append(track, a)
	}
	return track
}
