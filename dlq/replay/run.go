package replay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// Phase is what a run is doing.
type Phase string

// The phases.
const (
	Trying    Phase = "trial"
	Replaying Phase = "replay"
	Settling  Phase = "waiting for outcomes"
)

// Progress is how far a run is.
type Progress struct {
	Phase Phase
	Ready int // letters that the plan would replay
	Totals
	Ahead    map[string]int           // events that wait before ours, by provider; -1: no worker has ever run for it
	Yielding map[string]time.Duration // how long the oldest live event has waited, where the run holds back for it
}

// Report is what a run did.
type Report struct {
	Groups []GroupReport
	Totals
	Interrupted bool
	NotRemoved  int // replayed letters that could not be removed; the next run does
}

const (
	sendings  = 128             // replays between publishing and the removal of their letter
	stopGrace = 5 * time.Second // for what is under way when a run is stopped
	showEvery = 100 * time.Millisecond
)

// run is one Run of a plan.
type run struct {
	*Plan
	publisher *publisher.Publisher
	outcomes  *publisher.Outcomes
	books     *books
	paces     map[string]*pace
	verdicts  []Verdict // by group; its lane's until the lanes have ended

	soft   context.Context // no more letters after that
	fail   context.CancelCauseFunc
	hard   context.Context // and nothing at all
	places chan struct{}   // one for each sending

	notRemoved atomic.Int64
	phase      atomic.Value // a Phase
	watch      watch
}

// Run replays what is ready and returns when every outcome is known, when
// nothing has become known for Options.Wait, or soon after ctx has ended. It
// reports its progress from one goroutine. The error is about the broker; the
// report is true in any case.
func (p *Plan) Run(ctx context.Context, observe func(Progress)) (Report, error) {
	r := &run{Plan: p, paces: map[string]*pace{}, verdicts: make([]Verdict, len(p.Groups)), places: make(chan struct{}, sendings)}
	var limiter *rate.Limiter
	if p.options.Rate > 0 {
		limiter = rate.NewLimiter(rate.Limit(p.options.Rate), 1)
	}
	for _, provider := range p.names {
		r.paces[provider] = newPace(limiter, p.options, func() time.Duration { idle, _ := r.books.idle(); return idle })
	}
	r.books = newBooks(p, func(provider string, group int, delivered bool) { r.paces[provider].leave(group, delivered) })
	r.phase.Store(Trying)
	r.watch.looked, r.watch.delivered = p.extent.Last, map[string]uint64{}

	// What has happened while somebody was asked.
	err := p.isAnew(ctx)
	if err == nil {
		err = p.readEvents(ctx)
	}
	if err != nil {
		return r.untouched(), err
	}
	if r.publisher, err = publisher.New(p.js, publisher.Settings{MaxPending: sendings}); err != nil {
		return r.untouched(), err
	}
	if r.outcomes, err = publisher.ListenOutcomes(p.js.Conn()); err != nil {
		_ = r.publisher.Close(ctx) // nothing is under way
		return r.untouched(), err
	}
	var cancelHard context.CancelFunc
	r.hard, cancelHard = context.WithCancel(context.WithoutCancel(ctx))
	defer cancelHard()
	r.soft, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	defer context.AfterFunc(r.soft, func() { time.AfterFunc(stopGrace, cancelHard) })()

	helping, endHelp := context.WithCancel(r.hard)
	var helpers sync.WaitGroup
	helpers.Go(func() { r.listen(helping) })
	helpers.Go(func() { r.follow(helping) })
	r.lookAround(helping) // before the first letter
	helpers.Go(func() { r.watchOver(helping) })
	helpers.Go(func() { r.show(helping, observe) })

	r.clearDone()
	r.goAll()
	r.conclude()
	r.clearDone()
	r.phase.Store(Settling)
	r.settle()

	cause := context.Cause(r.soft)
	endHelp()
	helpers.Wait()
	_ = r.outcomes.Close() // fails only with the connection
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	_ = r.publisher.Close(closing) // what was not confirmed is in the report
	report := r.report()
	report.Interrupted = ctx.Err() != nil
	observe(r.progress())
	if ctx.Err() != nil {
		cause = nil
	}
	return report, cause
}

// listen takes the workers' reports.
func (r *run) listen(ctx context.Context) {
	for {
		outcome, err := r.outcomes.Next(ctx)
		switch {
		case err == nil:
			r.books.heard(outcome)
		case ctx.Err() != nil || r.js.Conn().IsClosed():
			return
		}
	}
}

// show reports the progress now and then.
func (r *run) show(ctx context.Context, observe func(Progress)) {
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			observe(r.progress())
		}
	}
}

func (r *run) progress() Progress {
	phase, _ := r.phase.Load().(Phase)
	p := Progress{Phase: phase, Ready: r.Ready(), Ahead: r.watch.aheads(), Yielding: map[string]time.Duration{}}
	_, p.Totals = r.books.report()
	for provider, pace := range r.paces {
		if yields, oldest := pace.yielding(); yields {
			p.Yielding[provider] = oldest
		}
	}
	return p
}

func (r *run) mayGo(group int) bool {
	verdict := r.verdicts[group]
	return (verdict == Passed || r.options.Trial == 0) && !r.books.isStopped(group)
}

// settle waits for the outcomes of what is under way.
func (r *run) settle() {
	for r.books.underWay() > 0 {
		if !r.await() {
			return
		}
	}
}

// await waits for something to become known. It reports false when the
// patience is over, or the run.
func (r *run) await() bool {
	idle, changed := r.books.idle()
	left := r.options.Wait - idle
	if left <= 0 {
		return false
	}
	timer := time.NewTimer(min(left, time.Second))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-r.soft.Done():
		return false
	}
	return true
}

// untouched is the report of a run that could not begin.
func (r *run) untouched() Report {
	for _, e := range r.entries {
		why := e.why
		if e.state != left {
			why = NotReached
		}
		r.books.note(int(e.group), func(g *GroupReport) { g.Left[why]++ })
	}
	var report Report
	report.Groups, report.Totals = r.books.report()
	return report
}

// report closes the books. What was neither sent nor left by now had a claim
// that came to nothing.
func (r *run) report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.entries {
		e := &r.entries[i]
		if e.state == taken || e.state == gone {
			continue
		}
		why := Unproven
		switch {
		case e.state == left:
			why = e.why
		case r.soft.Err() != nil:
			why = NotReached
		}
		r.books.note(int(e.group), func(g *GroupReport) { g.Left[why]++ })
	}
	for i, verdict := range r.verdicts {
		r.books.note(i, func(g *GroupReport) { g.Trial = verdict })
	}
	var report Report
	report.Groups, report.Totals = r.books.report()
	report.NotRemoved = int(r.notRemoved.Load())
	return report
}

func (r *run) whyNot(group int) Why {
	switch {
	case r.books.isStopped(group):
		return Stopped
	case r.verdicts[group] == Failed:
		return TrialFailed
	case r.verdicts[group] == Open && r.soft.Err() == nil:
		return TrialOpen
	}
	return NotReached
}
