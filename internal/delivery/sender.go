package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/providers"
)

// work carries a job to its end: every item is settled, parked or given back
// when it returns.
func (d *Desk) work(stop, work context.Context, j *job) {
	for {
		d.judge(work, j)
		if d.Holds.State(d.name).Held && !d.waitOut(stop, work, j) {
			d.giveBack(j)
			return
		}
		next, some := j.pop()
		if !some {
			break
		}
		if work.Err() != nil {
			j.push(next)
			d.giveBack(j)
			return
		}
		d.carryOut(stop, work, j, next)
	}
	for _, it := range j.accused { // nothing spoke for the provider: later again
		d.park(it)
	}
}

// carryOut makes one call and does what is decided about it.
func (d *Desk) carryOut(stop, work context.Context, j *job, s segment) {
	if s.spacing == nil {
		s.spacing = d.spacing()
	}
	answer := d.call(work, s)
	s.made, s.counted = s.made+1, true
	if work.Err() != nil && answer.Result == providers.Unavailable {
		j.push(s) // cut off, no verdict
		return
	}
	next, reason := decide(d.situation(j, s, answer))
	if next != settle && !j.troubled {
		j.troubled, j.mark = true, d.accepted.Load()
	}
	alone := s.items[0]
	switch next {
	case settle:
		d.settle(work, s.items, answer)
	case again:
		j.push(s)
		d.pause(stop, s.spacing.NextBackOff())
	case split:
		d.Log.Info("call refused whole; splitting it", "records", len(s.items), "code", answer.Code, "reason", answer.Reason)
		j.pushHalves(s)
	case accuse:
		if alone.accused == 0 {
			alone.accusedAt = d.accepted.Load()
		}
		alone.accused, alone.answer = alone.accused+1, answer
		j.accused = append(j.accused, alone)
	case goBack:
		if d.accepted.Load() > j.mark {
			alone.rounds++
		}
		d.park(alone)
	case die:
		d.die(work, alone, death{code: answer.Code, reason: answer.Reason, status: answer.Status})
	case holdOff:
		s.spacing, s.made = nil, 0
		j.push(s)
		d.hold(work, reason, answer)
	}
}

// situation gathers what the decision depends on.
func (d *Desk) situation(j *job, s segment, answer providers.Answer) situation {
	mark := j.mark
	if !j.troubled {
		mark = d.accepted.Load()
	}
	if len(s.items) == 1 && s.items[0].accused > 0 {
		mark = s.items[0].accusedAt
	}
	return situation{
		result:        answer.Result,
		named:         len(answer.Refusals) > 0,
		records:       len(s.items),
		suspect:       s.suspect,
		repeated:      s.made > 1,
		retryTimeLeft: s.spacing.GetElapsedTime() < d.RetryMaxElapsed,
		acceptedSince: d.accepted.Load() > mark,
		refusedInARow: int(d.refusedInARow.Load()),
		rounds:        s.items[0].rounds,
		maxRounds:     d.MaxAttempts,
	}
}

// judge lets the accused die for whom there is evidence now: another record
// was accepted since they were refused alone.
func (d *Desk) judge(work context.Context, j *job) {
	for _, it := range slices.Clone(j.accused) {
		if d.accepted.Load() > it.accusedAt {
			j.drop(it)
			d.die(work, it, death{code: it.answer.Code, reason: it.answer.Reason, status: it.answer.Status})
		}
	}
}

// spacing is that of further calls in a call's place; its clock starts now.
func (d *Desk) spacing() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMultiplier(2), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
}

// pause waits, but not past a stop.
func (d *Desk) pause(stop context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop.Done():
	}
}

// park sets a single record aside, longer each round, and gives it back to the
// broker when there is no place for it.
func (d *Desk) park(it *item) {
	if !d.lot.park(it, it.delay()) {
		it.message.Nak(max(it.delay(), giveBackDelay))
	}
}

// giveBack returns what is left to the broker, for a pod that goes on.
func (d *Desk) giveBack(j *job) {
	for it := range j.left {
		it.message.Nak(giveBackDelay)
	}
}
