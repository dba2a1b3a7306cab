package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

// The pods' settings, scaled down so that a minute holds many episodes.
const (
	lease         = 3 * time.Second // PERMIT_LEASE
	callTimeout   = time.Second     // HTTP_TIMEOUT
	grace         = 8 * time.Second // SHUTDOWN_GRACE
	cleverTapCap  = 3               // CLEVERTAP_MAX_CONCURRENT
	batchSize     = 30              // CLEVERTAP_BATCH_SIZE: little, so that all permits are in use
	courierCalls  = 16              // COURIER_MAX_CONCURRENT
	maxLatency    = 300 * time.Millisecond
	lastWords     = 5 * time.Second        // that a worker may take beyond its grace
	slowMachine   = 10 * time.Second       // that a busy machine may take beyond that
	restartPause  = 300 * time.Millisecond // after an end that nobody ordered
	podLogPattern = "pod-%d.log"
)

// fleet is the worker processes.
type fleet struct {
	nursery  *nursery
	timeline *timeline
	binary   string
	pods     []*pod
	watching sync.WaitGroup
}

// pod is one place for a worker, over restarts.
type pod struct {
	*fleet
	number int
	log    string
	env    []string

	orders sync.Mutex // held by the action that is under way

	mu      sync.Mutex
	process *process // nil while it is away
	frozen  []freeze
	closed  bool
}

// freeze is a time in which a pod was stopped by SIGSTOP; the zero end is
// not yet.
type freeze struct{ from, to time.Time }

func newFleet(n *nursery, t *timeline, binary, dir string, count int, debug bool) *fleet {
	f := &fleet{nursery: n, timeline: t, binary: binary}
	level := "info"
	if debug {
		level = "debug"
	}
	for i := range count {
		f.pods = append(f.pods, &pod{fleet: f, number: i, log: filepath.Join(dir, fmt.Sprintf(podLogPattern, i)), env: []string{
			"TMPDIR=" + os.TempDir(),
			"HTTP_ADDR=" + loopback + ":0",
			"LOG_FORMAT=json", "LOG_LEVEL=" + level,
			"STREAM_REPLICAS=" + strconv.Itoa(replicas),
			"CLEVERTAP_ACCOUNT_ID=" + sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE=" + sandbox.DefaultPasscode,
			"COURIER_API_KEY=" + sandbox.DefaultAPIKey,
			"CLEVERTAP_MAX_CONCURRENT=" + strconv.Itoa(cleverTapCap), "CLEVERTAP_BATCH_SIZE=" + strconv.Itoa(batchSize), "CLEVERTAP_BATCH_WAIT=50ms",
			"COURIER_MAX_CONCURRENT=" + strconv.Itoa(courierCalls),
			"PERMIT_LEASE=" + lease.String(), "HTTP_TIMEOUT=" + callTimeout.String(),
			"RETRY_MAX_ELAPSED=300ms", "HOLD_MIN=100ms", "HOLD_MAX=1s",
			"SHUTDOWN_GRACE=" + grace.String(),
		}})
	}
	return f
}

// start runs the pod's worker. A worker that ends without an order is wrong,
// and started again as a platform would.
func (p *pod) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.process != nil {
		return nil
	}
	started, err := p.nursery.start(p.log, p.env, p.binary, "run")
	if err != nil {
		return err
	}
	p.process = started
	p.watching.Go(func() {
		<-started.ended
		p.mu.Lock()
		unordered := p.process == started
		if unordered {
			p.process = nil
		}
		p.mu.Unlock()
		if !unordered {
			return
		}
		p.timeline.wrong("pod %d ended by itself: %v: %s", p.number, started.err, lastLine(p.log))
		time.Sleep(restartPause)
		if err := p.start(); err != nil {
			p.timeline.wrong("pod %d: %v", p.number, err)
		}
	})
	return nil
}

// take is the running process, which from now on is not ours to restart.
func (p *pod) take() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.process
	p.process = nil
	return taken
}

func (p *pod) kill() {
	if running := p.take(); running != nil {
		running.kill()
	}
}

// term ends the worker in order; that it cannot is wrong, unless the broker
// was away while it said its last words.
func (p *pod) term() {
	running := p.take()
	if running == nil {
		return
	}
	began := time.Now()
	err := running.term(grace + lastWords + slowMachine)
	switch took := time.Since(began).Round(time.Millisecond); {
	case err == nil:
		p.timeline.note("pod %d ended after %s", p.number, took)
	case errors.Is(err, errLate):
		p.timeline.wrong("pod %d: %v", p.number, err)
	default: // it had not begun to listen for signals, or the broker was away
		p.timeline.note("pod %d ended after %s: %v: %s", p.number, took, err, lastLine(p.log))
	}
}

func (p *pod) freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return nil
	}
	// Noted first: a call that ends in between was not held by the stop.
	p.frozen = append(p.frozen, freeze{from: time.Now()})
	return p.process.signal(syscall.SIGSTOP)
}

func (p *pod) thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.frozen) - 1
	if last < 0 || !p.frozen[last].to.IsZero() {
		return nil
	}
	var err error
	if p.process != nil {
		err = p.process.signal(syscall.SIGCONT)
	}
	p.frozen[last].to = time.Now()
	return err
}

// freezes lists when each pod was stopped.
func (f *fleet) freezes() [][]freeze {
	var all [][]freeze
	for _, p := range f.pods {
		p.mu.Lock()
		all = append(all, append([]freeze(nil), p.frozen...))
		p.mu.Unlock()
	}
	return all
}

func (f *fleet) start() error {
	var errs []error
	for _, p := range f.pods {
		errs = append(errs, p.start())
	}
	return errors.Join(errs...)
}

// term ends all workers in order, at the same time.
func (f *fleet) term() {
	var ending sync.WaitGroup
	for _, p := range f.pods {
		ending.Go(p.term)
	}
	ending.Wait()
}

// close kills whatever still runs.
func (f *fleet) close() {
	for _, p := range f.pods {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.kill()
	}
	f.watching.Wait()
}
