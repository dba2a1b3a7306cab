package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/fleet"
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
	cause := fleet.Cause{Reason: string(reason), Detail: answer.Reason, Floor: answer.RetryAfter, Doubts: rowLimit}
	hint := answer.Hint
	switch {
	case len(answer.Refusals) > 0:
		cause.Named = true
		cause.Detail = fmt.Sprintf("%d records in a row refused, none accepted: %s", namedLimit, answer.Refusals[0].Reason)
		hint = "look at the account and its region; where the refusals are right: worker resume " + d.name + " --believe"
	case reason == holdMisconfigured && answer.Result != providers.Misconfigured:
		cause.Doubts = int(d.doubtsInARow.Load())
	}
	if !d.Holds.Begin(work, d.name, cause) {
		return
	}
	d.metrics.holds[reason].Inc()
	args := []any{"reason", string(reason), "detail", cause.Detail}
	if hint != "" {
		args = append(args, "hint", hint)
	}
	d.Log.Warn("provider held: events wait, none dies", args...)
}

// waitOut stays while the provider is held. It probes with one of the job's
// own items when the pause is over and this pod wins the right to. It returns
// false when the desk stops first; the items are then still the job's.
func (s *sender) waitOut(j *job) bool {
	for {
		if s.stop.Err() != nil {
			return false
		}
		state := s.Holds.State(s.name)
		if !state.Held {
			return true
		}
		s.evidence.noteHeld()
		if s.stepsAside() {
			return false
		}
		candidate := j.leastProbed()
		if candidate == nil {
			return true
		}
		early := doubtful(state.Hold) && candidate.probes+candidate.alone == 0
		at := state.ProbeAt.Add(time.Duration(min(candidate.probes, 8)) * probeStagger)
		if wait := time.Until(at); wait > 0 && !early {
			s.waitFor(state.Changed, wait, j)
			s.expireOld(j)
			continue
		}
		if !s.probe(j, candidate, early) {
			s.waitFor(state.Changed, probeRetry, j)
		}
		s.expireOld(j)
	}
}

// waitFor returns after the wait, at a change of the fleet's state, at a stop,
// or when the next item expires. What else this pod has in hand joins the job,
// so that nothing of it expires unseen; its room is given back with the job,
// or a hold would pull the whole stream.
func (s *sender) waitFor(changed <-chan struct{}, wait time.Duration, j *job) {
	for it := range j.left {
		wait = min(wait, s.untilExpiry(it))
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-s.stop.Done():
	case it := <-s.singles:
		j.join([]*item{it}, triggerSplit, 1)
	case batch, open := <-s.queue.Batches():
		if open {
			j.join(batch.Items, string(batch.Trigger), s.Provider.MaxRecords())
			j.room += len(batch.Items)
			j.bytes += sizeOf(batch.Items)
		}
	}
}

// expireOld turns what the stream is about to drop into letters.
func (s *sender) expireOld(j *job) {
	for _, it := range slices.Collect(j.left) {
		if s.untilExpiry(it) <= 0 {
			j.drop(it)
			s.expire(s.work, it)
		}
	}
}

// doubtful is a hold that fewer different calls led to than would speak
// against the provider: one bad record with no other traffic, say. Records that
// were not refused yet need not wait out its pause.
func doubtful(hold fleet.Hold) bool { return hold.Doubts < rowLimit }

// probe sends one record alone if this pod wins the right to, before the pause
// is over if it may be early. It reports whether it did.
func (s *sender) probe(j *job, it *item, early bool) bool {
	if !s.probing.TryLock() {
		return false
	}
	defer s.probing.Unlock()
	probe, won := s.Holds.TryProbe(s.work, s.name, early)
	if !won {
		return false
	}
	it.probes++
	before := s.evidence.namedInARow()
	answer, made := s.call(segment{items: []*item{it}, trigger: triggerProbe})
	var err error
	switch {
	case !made:
		err = probe.Abandoned(context.WithoutCancel(s.work))
	case probeShowsLife(answer, !probe.Named() && before < namedLimit):
		s.silent.Store(0)
		err = probe.Succeeded(s.work)
		j.drop(it)
		accused, _ := s.settle(s.work, []*item{it}, answer)
		j.accused = append(j.accused, accused...)
		if err == nil {
			s.Log.Info("provider answers again: hold ended", "held_for", probe.HeldFor().Round(time.Millisecond).String())
		}
	case len(answer.Refusals) > 0:
		s.silent.Store(0)
		refusal := answer.Refusals[0]
		err = probe.Failed(s.work, fleet.Cause{Reason: string(holdMisconfigured), Detail: refusal.Reason, Doubts: rowLimit, Named: true})
		j.drop(it)
		if it.replayed {
			s.settle(s.work, []*item{it}, answer)
		} else {
			it.failNamed(refusal, answer.Status)
			j.accused = append(j.accused, it)
		}
		s.Log.Info("probe refused by name: still held", "detail", refusal.Reason)
	default:
		if answer.Status == 0 {
			s.silent.Add(1)
		} else {
			s.silent.Store(0)
		}
		cause := fleet.Cause{Reason: string(holdReasonOf(answer.Result)), Detail: answer.Reason, Floor: answer.RetryAfter, Doubts: probe.Doubts()}
		if it.probes == 1 && it.alone == 0 || holdReasonOf(answer.Result) != holdMisconfigured {
			cause.Doubts++
		}
		err = probe.Failed(s.work, cause)
		s.Log.Info("probe failed: still held", "result", string(answer.Result), "detail", answer.Reason)
	}
	if err != nil {
		s.Log.Warn("hold could not be updated", "err", err)
	}
	return true
}
