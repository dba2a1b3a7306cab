package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// probeStagger lets items that have served as a probe step back: the next
// probe is a different record where there is one.
const probeStagger = 30 * time.Millisecond

// probeRetry is the wait after somebody else was faster, or the bucket did not
// answer, when the watch does not bring news first.
const probeRetry = 250 * time.Millisecond

// hold sets the provider aside for the whole fleet.
func (d *Desk) hold(work context.Context, reason holdReason, answer providers.Answer) {
	if !d.Holds.Begin(work, d.name, string(reason), answer.Reason, answer.RetryAfter) {
		return
	}
	d.metrics.holds[reason].Inc()
	args := []any{"reason", string(reason), "detail", answer.Reason}
	if answer.Hint != "" {
		args = append(args, "hint", answer.Hint)
	}
	d.Log.Warn("provider held: events wait, none dies", args...)
}

// waitOut stays while the provider is held. It probes with one of the job's
// own items when the pause is over and this pod wins the right to. It returns
// false when the desk stops first; the items are then still the job's.
func (d *Desk) waitOut(stop, work context.Context, j *job) bool {
	for {
		if stop.Err() != nil {
			return false
		}
		state := d.Holds.State(d.name)
		if !state.Held {
			return true
		}
		candidate := j.leastProbed()
		if candidate == nil {
			return true
		}
		at := state.ProbeAt.Add(time.Duration(min(candidate.probes, 8)) * probeStagger)
		if wait := time.Until(at); wait > 0 {
			d.waitFor(stop, state.Changed, wait, j)
			d.expireOld(work, j)
			continue
		}
		if !d.probe(work, j, candidate) {
			d.waitFor(stop, state.Changed, probeRetry, j)
		}
		d.expireOld(work, j)
	}
}

// awaitTurn returns when the provider is not held, when a probe may be tried,
// or at a stop: until then the next batch keeps filling, which costs nothing.
func (d *Desk) awaitTurn(stop context.Context) {
	for stop.Err() == nil {
		state := d.Holds.State(d.name)
		wait := time.Until(state.ProbeAt)
		if !state.Held || wait <= 0 {
			return
		}
		d.waitFor(stop, state.Changed, wait, &job{})
	}
}

// waitFor returns after the wait, at a change of the fleet's state, at a stop,
// or when the next item expires.
func (d *Desk) waitFor(stop context.Context, changed <-chan struct{}, wait time.Duration, j *job) {
	for it := range j.left {
		wait = min(wait, d.untilExpiry(it))
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-stop.Done():
	}
}

// expireOld turns what the stream is about to drop into letters.
func (d *Desk) expireOld(work context.Context, j *job) {
	for _, it := range slices.Collect(j.left) {
		if d.untilExpiry(it) <= 0 {
			j.drop(it)
			d.expire(work, it)
		}
	}
}

// probe sends one record alone if this pod wins the right to. It reports
// whether it did.
func (d *Desk) probe(work context.Context, j *job, it *item) bool {
	if !d.probing.TryLock() {
		return false
	}
	defer d.probing.Unlock()
	probe, won := d.Holds.TryProbe(work, d.name)
	if !won {
		return false
	}
	it.probes++
	answer := d.call(work, segment{items: []*item{it}, trigger: triggerProbe})
	var err error
	switch {
	case work.Err() != nil && answer.Result == providers.Unavailable: // cut off, no verdict
		err = probe.Abandoned(context.WithoutCancel(work))
	case probeShowsLife(answer):
		err = probe.Succeeded(work)
		j.drop(it)
		d.settle(work, []*item{it}, answer)
		d.Log.Info("provider answers again: hold ended", "held_for", probe.HeldFor().Round(time.Millisecond).String())
	default:
		err = probe.Failed(work, string(holdReasonOf(answer.Result)), answer.Reason, answer.RetryAfter)
		d.Log.Info("probe failed: still held", "result", string(answer.Result), "detail", answer.Reason)
	}
	if err != nil {
		d.Log.Warn("hold could not be updated", "err", err)
	}
	return true
}
