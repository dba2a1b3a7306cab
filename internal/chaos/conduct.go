package main

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// conduct plays the schedule and returns when the last fault is over. When ctx
// ends the rest is left out and what has begun is ended at once.
func (st *stage) conduct(ctx context.Context, schedule []action) {
	var acting sync.WaitGroup
	defer acting.Wait()
	began := time.Now()
	for _, a := range schedule {
		if !sleep(ctx, time.Until(began.Add(a.at))) {
			return
		}
		st.done[a.kind]++
		acting.Go(func() { st.act(ctx, a) })
	}
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// act does harm, waits and makes it good.
func (st *stage) act(ctx context.Context, a action) {
	switch a.kind {
	case killPod, termPod, freezePod:
		st.stopPod(ctx, a)
	case stopLeader, killLeader, freezeLeader:
		st.stopServer(ctx, a)
	case latency, resetPeer, silence:
		st.timeline.note("%s, for %s", a, a.length)
		st.check(a, st.lines.spoil(a))
		sleep(ctx, a.length)
		st.check(a, st.lines.mend(a))
		st.timeline.note("over: %s", a)
	default:
		st.timeline.note("%s, for %s", a, a.length)
		st.check(a, st.provider.mood(a))
		sleep(ctx, a.length)
		st.provider.calm(a)
		st.timeline.note("over: %s", a)
	}
}

func (st *stage) check(a action, err error) {
	if err != nil {
		st.timeline.wrong("%s: %v", a, err)
	}
}

// stopPod waits for its turn: a worker that is still ending is not started.
func (st *stage) stopPod(ctx context.Context, a action) {
	p := st.fleet.pods[a.pod]
	p.orders.Lock()
	defer p.orders.Unlock()
	st.timeline.note("%s, for %s", a, a.length)
	switch a.kind {
	case freezePod:
		st.check(a, p.freeze())
		sleep(ctx, a.length)
		st.check(a, p.thaw())
		st.timeline.note("pod %d: SIGCONT", a.pod)
		return
	case killPod:
		p.kill()
	case termPod:
		p.term()
	}
	sleep(ctx, a.length)
	st.check(a, p.start())
	st.timeline.note("pod %d: started", a.pod)
}

// stopServer waits for its turn: never are two servers away by our doing.
func (st *stage) stopServer(ctx context.Context, a action) {
	st.breaking.Lock()
	defer st.breaking.Unlock()
	number := st.cluster.leader(ctx, a.target)
	st.timeline.note("%s, server %d, for %s", a, number, a.length)
	if a.kind == freezeLeader {
		st.check(a, st.cluster.signal(number, syscall.SIGSTOP))
		sleep(ctx, a.length)
		st.check(a, st.cluster.signal(number, syscall.SIGCONT))
		st.timeline.note("server %d: SIGCONT", number)
		return
	}
	st.check(a, st.cluster.stop(number, a.kind == killLeader))
	sleep(ctx, a.length)
	st.check(a, st.cluster.start(number))
	st.timeline.note("server %d: started", number)
}
