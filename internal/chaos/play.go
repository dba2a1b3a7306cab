package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
)

// stage is everything that takes part in a run.
type stage struct {
	timeline *timeline
	cluster  *cluster
	provider *provider
	lines    *lines
	fleet    *fleet
	done     map[kind]int // actions by kind; the conductor's own

	breaking sync.Mutex // one server of the cluster at a time
}

// play sets the stage, plays the schedule, waits for the rest and looks into
// the books. An error means that there was no verdict.
func play(ctx context.Context, s settings, stderr io.Writer) (v verdict, err error) {
	dir, kept := s.dir, s.dir != ""
	if !kept {
		if dir, err = os.MkdirTemp("", "tokenrelay-chaos-"); err != nil {
			return verdict{}, err
		}
		defer func() {
			if err == nil && len(v.problems) == 0 || ctx.Err() != nil {
				_ = os.RemoveAll(dir) // only temporary files stay
			}
		}()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return verdict{}, err
	}
	if s.worker == "" {
		s.worker = filepath.Join(dir, "worker")
		if err := buildWorker(ctx, s.worker); err != nil {
			return verdict{}, err
		}
	}
	var live io.Writer
	if s.live {
		live = stderr
	}
	n := newNursery()
	defer n.close()
	st := &stage{timeline: newTimeline(live), done: map[kind]int{}}
	defer st.close()
	if err := st.set(ctx, n, s, dir); err != nil {
		return verdict{}, err
	}
	b, err := st.perform(ctx, s)
	if err != nil {
		return verdict{}, err
	}
	problems, tallies := b.audit()
	return verdict{
		books: b, tallies: tallies, done: st.done, lines: st.timeline.lines, dir: dir,
		problems: append(problems, st.timeline.problems...),
	}, nil
}

func buildWorker(ctx context.Context, path string) error {
	output, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/tokenrelay/tokenrelay/cmd/worker").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the worker: %w: %s", err, output)
	}
	return nil
}

// set starts everything but the pods, and lays a line from each pod to each
// server and provider.
func (st *stage) set(ctx context.Context, n *nursery, s settings, dir string) (err error) {
	if st.provider, err = startProvider(&observer{}); err != nil {
		return err
	}
	if st.cluster, err = startCluster(ctx, n, dir, s.ackWait); err != nil {
		return err
	}
	st.lines = newLines()
	st.fleet = newFleet(n, st.timeline, s.worker, dir, s.pods, s.debug)
	for i, pod := range st.fleet.pods {
		var servers []string
		for _, node := range st.cluster.nodes {
			addr, err := st.lines.open(i, brokerTarget, node.addr())
			if err != nil {
				return err
			}
			servers = append(servers, "nats://"+addr)
		}
		pod.env = append(pod.env, "NATS_URL="+strings.Join(servers, ","))
		door, err := st.provider.open()
		if err != nil {
			return err
		}
		for _, provider := range event.Providers() {
			addr, err := st.lines.open(i, provider, door)
			if err != nil {
				return err
			}
			pod.env = append(pod.env, strings.ToUpper(provider)+"_BASE_URL=http://"+addr+"/"+provider)
		}
	}
	return nil
}

func (st *stage) close() {
	if st.fleet != nil {
		st.fleet.close()
	}
	if st.lines != nil {
		st.lines.close()
	}
	if st.cluster != nil {
		st.cluster.close()
	}
	if st.provider != nil {
		_ = st.provider.close() // its clients are gone
	}
}

// perform is the run itself: events and faults, then the rest, then the end.
func (st *stage) perform(ctx context.Context, s settings) (*books, error) {
	if err := st.fleet.start(); err != nil {
		return nil, err
	}
	conn, err := connect(st.cluster.url(), "chaos publisher")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	b := &books{began: time.Now(), calm: s.calm}
	st.timeline.began = b.began
	publishing, stop := context.WithTimeout(ctx, s.duration)
	defer stop()
	var running sync.WaitGroup
	var publishErr error
	running.Go(func() { b.traffic, publishErr = publish(publishing, js, s.rate) })
	if s.calm {
		st.provider.hurry()
	} else {
		st.conduct(ctx, plan(s.seed, s.duration, s.pods))
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	calm := time.Now()
	st.timeline.note("all faults are over, %d of %d events are confirmed", len(b.traffic.confirmed), b.traffic.sent)
	if publishErr != nil {
		st.timeline.wrong("publisher: %v", publishErr)
	}
	for _, err := range b.traffic.failed {
		st.timeline.note("not confirmed: %v", err)
	}
	if err := st.cluster.stillUp(); err != nil {
		st.timeline.wrong("%v", err)
	}
	st.provider.hurry()
	if err := st.cluster.drained(ctx, s.patience); err != nil {
		st.timeline.note("%v", err)
	} else {
		st.timeline.note("nothing is pending, the cluster is whole")
	}
	// What a dead pod held is free after its lease, and not before.
	sleep(ctx, time.Until(calm.Add(lease+callTimeout)))
	st.fleet.term()
	b.ended = time.Now()
	return b, st.lookInto(ctx, b)
}

// lookInto fills the books when all workers have ended.
func (st *stage) lookInto(ctx context.Context, b *books) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs [4]error
	b.pending, errs[0] = st.cluster.pending(ctx)
	b.stored, errs[1] = st.cluster.stored(ctx)
	b.letters, errs[2] = st.cluster.letters(ctx)
	held, err := st.cluster.permitsHeld(ctx)
	if errs[3] = err; len(held) > 0 {
		st.timeline.wrong("every worker has ended in order, and permits are still held: %v", held)
	}
	b.accepted, b.refused = st.provider.records()
	b.calls, b.freezes = st.provider.observer.seen(), st.fleet.freezes()
	return errors.Join(errs[:]...)
}
