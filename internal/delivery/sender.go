package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/batcher"
	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
)

// sender pulls what fits, batches it and makes the calls. While a call is open
// the next batch fills; no more than that is pulled ahead.
type sender struct {
	*Desk
	permit *fleet.Permit   // nil where none is needed
	stop   context.Context // when done: no pulls, no pauses, and what is left over is given back
	work   context.Context // when done, too: open calls are cut off

	leave   func() // ends stop for this sender alone; nil without a permit
	silence int64  // the desk's silent probes when it began
	queue   *batcher.Batcher[*item]
	room    *room
}

// run returns when stop is done and everything that was pulled is settled,
// parked or given back.
func (s *sender) run() {
	defer s.lot.enter()()
	size := s.Provider.MaxRecords()
	s.queue = batcher.New[*item](size, s.BatchWait)
	s.room = newRoom(max(size, s.Calls), maxBytes/min(max(s.Senders, 1), 3))
	var running sync.WaitGroup
	running.Go(func() {
		s.pull()
		s.queue.Close()
	})
	for range s.Calls {
		running.Go(s.serve)
	}
	running.Wait()
}

// serve works on one batch, or one single record, at a time.
func (s *sender) serve() {
	for {
		select {
		case it := <-s.singles:
			s.finish(newJobAlone(it))
		case batch, open := <-s.queue.Batches():
			if !open {
				return
			}
			s.room.sent(len(batch.Items))
			j := newJob(batch.Items, string(batch.Trigger))
			j.bytes = sizeOf(batch.Items)
			s.finish(j)
		}
	}
}

// pull keeps asking for as many messages as there is room for. A trickle goes
// to the sender with the lowest permit.
func (s *sender) pull() {
	priority := 0
	if s.permit != nil {
		priority = min(s.permit.Number(), 9)
	}
	var pulls sync.WaitGroup
	defer pulls.Wait()
	for {
		order := s.room.take(s.stop)
		if order.messages == 0 {
			return
		}
		pulls.Go(func() {
			taken := 0
			err := s.Consumer.PullUpTo(s.stop, order.messages, order.bytes, priority, func(message *consumer.Message) {
				taken++
				it := s.intake(s.work, message)
				// What the server had sent before the stop is still delivered.
				kept := it != nil && s.queue.Add(s.work, it) == nil
				if it != nil && !kept {
					it.message.Nak(giveBackDelay)
				}
				s.room.arrived(kept, message.Size())
			})
			if s.room.over(order, order.messages-taken) {
				s.queue.Flush()
			}
			if err != nil && s.stop.Err() == nil {
				s.Log.Warn("pull failed", "err", err)
			}
		})
	}
}

// finish carries a job to its end: every item is settled, parked or given back
// when it returns.
func (s *sender) finish(j *job) {
	defer func() { s.room.sent(j.room); s.room.done(j.bytes) }()
	for {
		s.judge(s.work, j)
		if s.Holds.State(s.name).Held {
			s.ramp.restart()
			if !s.waitOut(j) {
				s.giveBack(j)
				return
			}
			j.troubled = false // it was the provider
		}
		next, some := j.pop()
		if !some {
			break
		}
		if s.work.Err() != nil || !s.carryOut(j, next) {
			j.push(next)
			s.giveBack(j)
			return
		}
	}
	for _, it := range j.accused { // nothing spoke for the provider: later again
		s.park(it)
	}
}

// carryOut makes one call and does what is decided about it. It reports false
// when the segment is to be given back: its call was not made, was cut off, or
// would have to be made again after a stop.
func (s *sender) carryOut(j *job, seg segment) bool {
	if seg.spacing == nil {
		seg.spacing = newSpacing()
	}
	if !s.ramp.enter(s.work) {
		return false
	}
	if s.Holds.State(s.name).Held { // since this call began to wait for its place
		s.ramp.leave(false)
		j.push(seg)
		return true
	}
	answer, made := s.call(seg)
	// Left only when a hold has begun: who waits for the place must see it.
	defer func() { s.ramp.leave(acceptedOf(answer, len(seg.items)) > 0) }()
	if !made {
		return false
	}
	seg.made, seg.counted = seg.made+1, true
	now := s.situation(j, seg, answer)
	next, reason := decide(now)
	if next != settle && !j.troubled {
		j.troubled, j.since = true, time.Now()
	}
	alone := seg.items[0]
	switch next {
	case settle:
		accused, open := s.settle(s.work, seg.items, answer)
		j.accused = append(j.accused, accused...)
		if len(open) > 0 {
			j.push(segment{items: open, trigger: triggerSplit, suspect: true})
		}
		if reason != "" {
			s.hold(s.work, reason, answer)
		}
	case again:
		if !s.pause(seg.spacing.NextBackOff()) {
			return false
		}
		j.push(seg)
	case split:
		s.Log.Info("call refused whole; splitting it", "records", len(seg.items), "code", answer.Code, "reason", answer.Reason)
		j.pushHalves(seg)
	case accuse:
		alone.failAlone(now.acceptedSince, answer)
		j.accused = append(j.accused, alone)
	case goBack:
		alone.failAlone(now.acceptedSince, answer)
		s.park(alone)
	case die:
		s.die(s.work, alone, death{code: answer.Code, reason: answer.Reason, status: answer.Status})
	case holdOff:
		seg.spacing, seg.made, seg.held = nil, 0, true
		j.push(seg)
		s.hold(s.work, reason, answer)
	}
	return true
}

// situation gathers what the decision depends on.
func (d *Desk) situation(j *job, s segment, answer providers.Answer) situation {
	accepted := j.troubled && d.evidence.since(j.since)
	if len(s.items) == 1 && s.items[0].alone > 0 {
		accepted = d.evidence.sinceRefused(s.items[0].failedAt)
	}
	return situation{
		result:        answer.Result,
		named:         len(answer.Refusals) > 0,
		foreign:       answer.Foreign,
		namedInARow:   d.evidence.namedInARow() + named(s.items, answer),
		records:       len(s.items),
		suspect:       s.suspect,
		repeated:      s.made > 1,
		retryTimeLeft: s.spacing.GetElapsedTime() < d.RetryMaxElapsed,
		acceptedSince: accepted,
		heldBefore:    s.held,
		refusedInARow: int(d.refusedInARow.Load()),
		outOfPatience: s.items[0].outOfPatience(d.MaxAttempts, d.MaxAttemptsAge),
	}
}

// judge lets the accused die for whom there is evidence now: another record
// was accepted since they were refused, or an operator says that the refusals
// by name are right.
func (d *Desk) judge(work context.Context, j *job) {
	die := func(it *item) {
		j.drop(it)
		d.die(work, it, death{code: it.answer.Code, reason: it.answer.Reason, status: it.answer.Status})
	}
	for _, it := range slices.Clone(j.accused) {
		if d.evidence.since(it.failedAt) {
			die(it)
		}
	}
	decreed := d.evidence.decreedAt()
	if decreed.IsZero() {
		return
	}
	for _, it := range slices.Collect(j.left) {
		if it.accused > 0 && it.failedAt.Before(decreed) {
			die(it)
		}
	}
}

// newSpacing is that of further calls in a call's place; its clock starts now.
func newSpacing() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMultiplier(2), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
}

// pause waits; it reports false at a stop.
func (s *sender) pause(wait time.Duration) bool {
	s.pauseUntil(s.stop, wait)
	return s.stop.Err() == nil
}

func (d *Desk) pauseUntil(stop context.Context, wait time.Duration) {
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
