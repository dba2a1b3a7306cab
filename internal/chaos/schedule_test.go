package main

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	first := plan(7, time.Minute, 4)
	if !reflect.DeepEqual(first, plan(7, time.Minute, 4)) {
		t.Error("two plans of seed 7 differ")
	}
	if reflect.DeepEqual(first, plan(8, time.Minute, 4)) {
		t.Error("seeds 7 and 8 give the same plan")
	}
}

func TestAPlanKeepsItsBounds(t *testing.T) {
	t.Parallel()
	const pods, duration = 4, time.Minute
	for seed := range uint64(200) {
		for _, a := range plan(seed, duration, pods) {
			switch {
			case a.at < 0 || a.at+a.length > duration:
				t.Errorf("seed %d: %s from %s for %s is not over after %s", seed, a, a.at, a.length, duration)
			case a.pod < 0 || a.pod >= pods:
				t.Errorf("seed %d: %s: there is no such pod", seed, a)
			case a.kind == freezePod && a.length <= lease:
				t.Errorf("seed %d: %s for %s, want longer than the lease", seed, a, a.length)
			case a.kind == hangs && (a.amount <= 0 || a.amount >= lease):
				t.Errorf("seed %d: %s, want shorter than the lease", seed, a)
			case a.kind == latency && (a.amount <= 0 || a.amount > maxLatency):
				t.Errorf("seed %d: %s, want up to %s", seed, a, maxLatency)
			}
		}
	}
}

// place is what two actions may not have in hand at the same time.
func place(a action) string {
	switch a.kind {
	case killPod, freezePod, termPod:
		return "pod " + string(rune('0'+a.pod))
	case stopLeader, killLeader, freezeLeader:
		return "the cluster"
	case latency, resetPeer, silence:
		return "line of " + string(rune('0'+a.pod)) + " to " + a.target
	}
	return a.target
}

func TestNoTwoFaultsAtOnePlace(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		until := map[string]action{}
		for _, a := range plan(seed, time.Minute, 4) {
			if before, ok := until[place(a)]; ok && before.at+before.length > a.at {
				t.Errorf("seed %d: %q at %s begins before %q at %s is over", seed, a, a.at, before, before.at)
			}
			until[place(a)] = a
		}
	}
}

func TestAMinuteHasEveryFault(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		if missing := without(plan(seed, time.Minute, 4)); len(missing) > 0 {
			t.Errorf("seed %d has no %v", seed, missing)
		}
	}
}

// without lists the kinds that a plan lacks.
func without(schedule []action) (missing []kind) {
	for _, k := range []kind{killPod, freezePod, termPod, stopLeader, killLeader, freezeLeader, latency, resetPeer, silence, throttles, errs, forgets, hangs, refusesKey} {
		if !slices.ContainsFunc(schedule, func(a action) bool { return a.kind == k }) {
			missing = append(missing, k)
		}
	}
	return missing
}
