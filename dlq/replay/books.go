package replay

import (
	"maps"
	"sync"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// Verdict is what a group's trial came to.
type Verdict int

// The verdicts.
const (
	NoTrial Verdict = iota // none was wanted, or there was nothing to try
	Passed
	Failed
	Open // no outcome in time
)

// GroupReport is what a run did with a group. Every letter is in exactly one
// of Replayed, Already, Gone and Left; every replayed one in Delivered, Died,
// Erased or Waiting.
type GroupReport struct {
	dlq.Key
	Matched   int
	Replayed  int // by this run
	Delivered int
	Died      int
	Erased    int
	Waiting   int // in the stream or in a worker's hands; they go on without us
	Already   int // by another run, or by one that was cut off
	Gone      int // removed by somebody else
	Left      map[Why]int
	Trial     Verdict
	Tried     Tried
	DiedOf    string // what the last one that died again died of
	Example   Examples
}

// Tried counts the letters of a group's trial whose replay stands in the stream,
// be it this run's or another's.
type Tried struct {
	Replayed int
	Died     int // of these
	Waiting  int // of these, without an outcome
}

// LeftOver sums up Left.
func (g GroupReport) LeftOver() int {
	n := 0
	for _, m := range g.Left {
		n += m
	}
	return n
}

// Totals are the sums over the groups.
type Totals struct {
	Matched, Replayed, Delivered, Died, Erased, Waiting, Already, Gone, Left int
}

// flight is a replay without an outcome.
type flight struct {
	group    int
	provider string
	trial    bool
	own      bool // this run published it, and not another
	since    time.Time
}

// books count what becomes of the letters of a run.
type books struct {
	mu      sync.Mutex
	groups  []GroupReport
	stopped []bool
	later   []int // deaths after the trial, by group
	flights map[uint64]flight
	early   map[uint64]publisher.Outcome // reports that came before the broker's word
	maxFail int
	ended   landing       // is told of own flights
	moved   time.Time     // when something last became known
	changed chan struct{} // closed and replaced at every change
}

// landing takes what became of a flight.
type landing func(provider string, group int, delivered bool)

func newBooks(p *Plan, ended landing) *books {
	b := &books{flights: map[uint64]flight{}, early: map[uint64]publisher.Outcome{}, maxFail: p.options.MaxFail,
		stopped: make([]bool, len(p.Groups)), later: make([]int, len(p.Groups)), ended: ended, moved: time.Now(), changed: make(chan struct{})}
	for _, g := range p.Groups {
		b.groups = append(b.groups, GroupReport{Key: g.Key, Matched: g.Count, Left: map[Why]int{}, Example: g.Example})
	}
	return b
}

// note changes a group's report.
func (b *books) note(group int, change func(*GroupReport)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.groups[group])
	b.wake()
}

func (b *books) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// takeOff notes a replay that stands in the stream.
func (b *books) takeOff(seq uint64, f flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.since = time.Now()
	b.moved = f.since
	b.flights[seq] = f
	g := &b.groups[f.group]
	if f.own {
		g.Replayed++
		g.Waiting++
	} else {
		g.Already++
	}
	if f.trial {
		g.Tried.Replayed++
		g.Tried.Waiting++
	}
	if o, known := b.early[seq]; known && o.Provider == f.provider {
		delete(b.early, seq)
		b.land(seq, o)
	}
	b.wake()
}

// mostEarly bounds what is kept of news that may come before the broker's word.
const mostEarly = 10_000

// heard takes over an outcome, be it reported or found in the streams.
func (b *books) heard(o publisher.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, flying := b.flights[o.StreamSeq]; !flying {
		if len(b.early) >= mostEarly { // all of these are about events of others
			clear(b.early)
		}
		b.early[o.StreamSeq] = o
	} else if f.provider == o.Provider {
		b.land(o.StreamSeq, o)
	}
}

// settled ends a flight that a worker is done with, and that has no letter.
func (b *books) settled(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, flying := b.flights[seq]; flying {
		b.land(seq, publisher.Outcome{StreamSeq: seq, Provider: f.provider, Outcome: "delivered"})
	}
}

// land ends a flight. The caller holds the lock.
func (b *books) land(seq uint64, o publisher.Outcome) {
	f := b.flights[seq]
	delete(b.flights, seq)
	g := &b.groups[f.group]
	if f.trial {
		g.Tried.Waiting--
	}
	if o.Outcome == "dead" {
		g.DiedOf = o.Code + ": " + o.Reason
		if f.trial {
			g.Tried.Died++
		} else if b.later[f.group]++; b.maxFail > 0 && b.later[f.group] >= b.maxFail {
			b.stopped[f.group] = true
		}
	}
	if f.own {
		g.Waiting--
		well := false
		switch o.Outcome {
		case "dead":
			g.Died++
		case "erased":
			g.Erased++
		default:
			g.Delivered++
			well = true
		}
		b.ended(f.provider, f.group, well)
	}
	b.moved = time.Now()
	b.wake()
}

// isStopped reports whether too many of a group died.
func (b *books) isStopped(group int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped[group]
}

// tried tells how a group's trial stands.
func (b *books) tried(group int) Tried {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.groups[group].Tried
}

// underWay counts the replays of this run without an outcome.
func (b *books) underWay() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, f := range b.flights {
		if f.own {
			n++
		}
	}
	return n
}

// overdue lists the flights of a provider that are older than some time.
func (b *books) overdue(provider string, age time.Duration) map[uint64]flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[uint64]flight{}
	for seq, f := range b.flights {
		if f.provider == provider && time.Since(f.since) >= age {
			found[seq] = f
		}
	}
	return found
}

// last is the place of a provider's last flight, 0 when it has none, and how
// many there are.
func (b *books) last(provider string) (seq uint64, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, f := range b.flights {
		if f.provider == provider {
			seq, n = max(seq, at), n+1
		}
	}
	return seq, n
}

// stir puts off the end of the patience: something goes on.
func (b *books) stir() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved = time.Now()
}

// idle is how long nothing has become known, and a channel that is closed at
// the next change.
func (b *books) idle() (time.Duration, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.moved), b.changed
}

// report copies the books.
func (b *books) report() ([]GroupReport, Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var t Totals
	list := make([]GroupReport, len(b.groups))
	for i, g := range b.groups {
		g.Left = maps.Clone(g.Left)
		list[i] = g
		t.Matched += g.Matched
		t.Replayed += g.Replayed
		t.Delivered += g.Delivered
		t.Died += g.Died
		t.Erased += g.Erased
		t.Waiting += g.Waiting
		t.Already += g.Already
		t.Gone += g.Gone
		t.Left += g.LeftOver()
	}
	return list, t
}
