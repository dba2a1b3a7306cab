package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

// backlog is what a fleet made of stored events.
type backlog struct {
	events   int
	rate     float64       // tokens/s
	duration time.Duration // of a call, as the workers see it
	seen     seen
}

// share is of what the cap allows at that duration.
func (b backlog) share() float64 { return b.rate / (limit * batch / b.duration.Seconds()) }

// missed lists the goals that this one does not reach.
func (b backlog) missed(call time.Duration, processes int) []string {
	var list []string
	where := fmt.Sprintf("%d processes, calls of %s: ", processes, call)
	goal := 0.92
	if call >= 200*time.Millisecond {
		goal = 0.95
	}
	if b.share() < goal {
		list = append(list, where+fmt.Sprintf("%.1f %% of the limit, want %.0f %%", 100*b.share(), 100*goal))
	}
	if b.seen.peak != limit || b.seen.throttled > 0 {
		list = append(list, where+fmt.Sprintf("%d calls open at once and %d answered 429, want %d and none", b.seen.peak, b.seen.throttled, limit))
	}
	if b.seen.recordsACall() < 99 {
		list = append(list, where+fmt.Sprintf("%.1f records a call, want 99", b.seen.recordsACall()))
	}
	return list
}

// measureBacklog stores events first and starts the workers then.
func measureBacklog(ctx context.Context, dir string, s settings, call time.Duration, processes int) (backlog, error) {
	events := int(limit*batch/call.Seconds()) * s.seconds
	p := newProvider(call, events)
	w, err := newWorld(ctx, dir, p)
	if err != nil {
		return backlog{}, err
	}
	defer w.close()
	for i := range events {
		if err := w.publish(i, time.Now()); err != nil {
			return backlog{}, err
		}
	}
	select {
	case <-w.js.PublishAsyncComplete():
	case <-ctx.Done():
		return backlog{}, context.Cause(ctx)
	}
	if err := w.start(ctx, s.worker, processes); err != nil {
		return backlog{}, err
	}
	if err := p.await(ctx); err != nil {
		return backlog{}, err
	}
	duration, err := w.callDuration()
	return backlog{events: events, rate: p.speed(), duration: duration, seen: p.seen()}, err
}

func (p *provider) await(ctx context.Context) error {
	select {
	case <-p.full:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("not everything was delivered within %s", patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func tokenOf(i int) string { return fmt.Sprintf("%011x:APA91bFleetBenchToken%0100x", i, i) }

func (w *world) publish(i int, registered time.Time) error {
	ev := event.Event{ObjectID: fmt.Sprintf("__g%030x", i), Token: tokenOf(i), Type: "fcm", RegisteredAt: registered.UTC().Format(time.RFC3339Nano)}
	data, err := ev.Encode()
	if err != nil {
		return err
	}
	_, err = w.js.PublishAsync(consumer.EventsSubject, data, jetstream.WithStallWait(patience))
	return err
}

// trickle is how long single events took.
type trickle struct {
	latencies []time.Duration // sorted
	goal      time.Duration
	seen      seen
}

func (t trickle) at(q float64) time.Duration {
	return t.latencies[min(int(q*float64(len(t.latencies))), len(t.latencies)-1)]
}

func (t trickle) missed(call time.Duration) []string {
	if t.at(0.99) < t.goal {
		return nil
	}
	return []string{fmt.Sprintf("trickle, calls of %s: p99 %s, want under %s", call, t.at(0.99), t.goal)}
}

// measureTrickle publishes at a steady rate to four workers.
func measureTrickle(ctx context.Context, dir string, s settings, call time.Duration) (trickle, error) {
	events := s.rate * max(s.seconds, 10)
	p := newProvider(call, events)
	w, err := newWorld(ctx, dir, p)
	if err != nil {
		return trickle{}, err
	}
	defer w.close()
	if err := w.start(ctx, s.worker, 4); err != nil {
		return trickle{}, err
	}
	registered := make([]time.Time, events)
	ticker := time.NewTicker(time.Second / time.Duration(s.rate))
	defer ticker.Stop()
	for i := range events {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return trickle{}, context.Cause(ctx)
		}
		registered[i] = time.Now()
		if err := w.publish(i, registered[i]); err != nil {
			return trickle{}, err
		}
	}
	if err := p.await(ctx); err != nil {
		return trickle{}, err
	}
	t := trickle{goal: batchWait + call + 100*time.Millisecond, seen: p.seen()}
	for i, at := range registered {
		t.latencies = append(t.latencies, p.accepted[tokenOf(i)].Sub(at))
	}
	slices.Sort(t.latencies)
	return t, nil
}
