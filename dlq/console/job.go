package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// task is what an operator ordered: first it looks and says what it would do,
// then, once the operator has agreed, it does that. Its methods are called
// once each, one after the other.
type task interface {
	look(ctx context.Context) (preview, error)
	run(ctx context.Context, report func(progress)) (result, error)
}

// preview is what a task would do.
type preview struct {
	Total    int    // 0: nothing
	Question string // asked before anything changes
	Agree    string // what the button says
	Final    string // what else must be ticked, for what cannot be undone
	Rows     []row
	Notes    []string
}

// row is what a preview or a result says of one group.
type row struct {
	dlq.Key
	Count int
	Lines []line
}

// line is a sentence; its tone is "good", "bad" or "".
type line struct{ Tone, Text string }

// progress is how far a task is.
type progress struct {
	Text        string
	Done, Total int
}

// result is what a task did.
type result struct {
	Good    bool // all that was wanted is done
	Summary string
	Rows    []row
	Notes   []string
}

// state is where a job stands.
type state string

const (
	looking   state = "looking" // at what it would do
	asking    state = "asking"  // the operator
	running   state = "running"
	done      state = "done" // its result says how well
	failed    state = "failed"
	withdrawn state = "withdrawn" // before it had changed anything
)

func (s state) ended() bool { return s == done || s == failed || s == withdrawn }

// job is one task on its way. It belongs to the console, not to a page, so
// that a reload, a second tab or another operator finds it as it is.
type job struct {
	id       string
	kind     string   // replay, purge, export, erase
	what     string   // which letters, in words
	operator string   // who ordered it
	address  string   // of the letters that it is about; empty: none to show
	orders   []string // what else was ordered, in words
	task     task     // nil once the job has ended: a replay's plan is large
	ctx      context.Context
	cancel   context.CancelFunc
	changed  func()

	mu       sync.Mutex
	state    state
	agreed   string // who agreed to it
	created  time.Time
	preview  preview
	progress progress
	result   result
	stopped  bool // while it ran
	err      error
}

// jobView is a job at one moment.
type jobView struct {
	ID, Kind, What, Operator, Address string
	Orders                            []string
	Agreed                            string // who agreed
	State                             state
	Created                           time.Time
	Preview                           preview
	Progress                          progress
	Result                            result
	Err                               string
	Stopping, Stopped                 bool
}

func (j *job) view() jobView {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := jobView{ID: j.id, Kind: j.kind, What: j.what, Operator: j.operator, Address: j.address, Orders: j.orders, Agreed: j.agreed, State: j.state, Created: j.created,
		Preview: j.preview, Progress: j.progress, Result: j.result, Stopping: !j.state.ended() && j.ctx.Err() != nil, Stopped: j.stopped}
	v.Err = errorLine(j.err)
	return v
}

// set changes a job and tells the pages.
func (j *job) set(change func()) {
	j.mu.Lock()
	change()
	if j.state.ended() {
		j.task = nil
	}
	j.mu.Unlock()
	j.changed()
}

// look finds out what there is to do; afterwards the operator is asked, for a
// while.
func (j *job) look() {
	t := j.task
	found, err := t.look(j.ctx)
	j.set(func() {
		switch {
		case j.ctx.Err() != nil:
			j.state = withdrawn
		case err != nil:
			j.state, j.err = failed, err
		case found.Total == 0:
			j.state, j.preview, j.result = done, found, result{Good: true, Summary: "There is nothing to do.", Rows: found.Rows, Notes: found.Notes}
		default:
			j.state, j.preview = asking, found
		}
	})
	if j.view().State == asking {
		expiry := time.AfterFunc(asksFor, j.drop)
		context.AfterFunc(j.ctx, func() { expiry.Stop() })
	}
}

// drop ends a job that nobody has agreed to.
func (j *job) drop() {
	j.set(func() {
		if j.state == asking {
			j.state = withdrawn
			j.cancel()
		}
	})
}

// agree lets the job begin and hands out its task, to one of many clicks only.
func (j *job) agree(operator string) task {
	var agreed task
	j.set(func() {
		if j.state == asking && j.ctx.Err() == nil {
			agreed = j.task
			j.agreed, j.state, j.progress = operator, running, progress{Text: "beginning", Total: j.preview.Total}
		}
	})
	return agreed
}

// run does what was agreed to.
func (j *job) run(t task) (result, error) {
	did, err := t.run(j.ctx, func(p progress) { j.set(func() { j.progress = p }) })
	j.set(func() {
		j.stopped = j.ctx.Err() != nil
		if j.state, j.result = done, did; err != nil && !errors.Is(err, context.Canceled) {
			j.state, j.err = failed, err
		}
	})
	j.cancel()
	return did, err
}

// stop ends the job where it is: at once before it has begun, else as soon as
// its task has put away what it has in hand.
func (j *job) stop() {
	j.cancel()
	j.set(func() {
		if j.state == asking {
			j.state = withdrawn
		}
	})
}

const (
	asksFor   = 15 * time.Minute
	mostOpen  = 8  // a replay remembers some 100 bytes of each letter
	mostEnded = 50 // the oldest is forgotten
)

// jobs are those under way and the last that ended.
type jobs struct {
	alive context.Context
	work  sync.WaitGroup

	mu     sync.Mutex
	number int
	list   []*job // oldest first
	news   chan struct{}
}

func newJobs(alive context.Context) *jobs { return &jobs{alive: alive, news: make(chan struct{})} }

// changed is closed at the next change of any job.
func (l *jobs) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news
}

func (l *jobs) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
}

// begin gives a job a number and lets it look.
func (l *jobs) begin(j *job) error {
	l.mu.Lock()
	open := 0
	for _, other := range l.list {
		if !other.view().State.ended() {
			open++
		}
	}
	if open >= mostOpen {
		l.mu.Unlock()
		return fmt.Errorf("%d jobs are open already: finish or stop one of them on the overview first", open)
	}
	l.number++
	j.id, j.state, j.created, j.changed = strconv.Itoa(l.number), looking, time.Now(), l.tell
	j.ctx, j.cancel = context.WithCancel(l.alive)
	l.list = append(l.list, j)
	if len(l.list) > mostOpen+mostEnded {
		ended := slices.IndexFunc(l.list, func(j *job) bool { return j.view().State.ended() })
		l.list = slices.Delete(l.list, ended, ended+1)
	}
	l.mu.Unlock()
	l.work.Go(j.look)
	return nil
}

func (l *jobs) find(id string) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.list {
		if j.id == id {
			return j
		}
	}
	return nil
}

// views are the jobs, those under way first, and of each kind the newest first.
func (l *jobs) views() []jobView {
	l.mu.Lock()
	list := slices.Clone(l.list)
	l.mu.Unlock()
	var open, ended []jobView
	for _, j := range slices.Backward(list) {
		if v := j.view(); v.State.ended() {
			ended = append(ended, v)
		} else {
			open = append(open, v)
		}
	}
	return append(open, ended...)
}

// wait returns when no job is under way any more.
func (l *jobs) wait() { l.work.Wait() }
