package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a bucket that every board of a fleet sees at once.
type memory struct {
	mu      sync.Mutex
	last    uint64
	records map[string]record
	boards  []*Board
}

func (m *memory) change(_ context.Context, key string, value []byte, after after) (uint64, *record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if standing := m.records[key]; standing.revision != after.last {
		return 0, &standing, nil
	}
	m.last++
	m.records[key] = record{value: value, revision: m.last}
	for _, b := range m.boards {
		b.note(key, value, m.last)
	}
	return m.last, nil, nil
}

func (m *memory) join() *Board {
	b := &Board{change: m.change, records: map[string]record{}, changed: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boards = append(m.boards, b)
	return b
}

// Ten minutes of outage, eight pods with many senders each: after the first
// half minute the provider sees less than a call in five seconds from all of
// them together, and when it is back every pod goes on within HOLD_MAX.
func TestAFleetIsQuietInAnOutage(t *testing.T) {
	t.Parallel()
	for _, outage := range []time.Duration{10 * time.Minute, 30 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { quietInAnOutage(t, outage) })
		})
	}
}

func quietInAnOutage(t *testing.T, outage time.Duration) {
	schedule := Schedule{Min: 2 * time.Second, Max: 5 * time.Minute}
	bucket := &memory{records: map[string]record{}}
	began := time.Now()
	var mu sync.Mutex
	var calls []time.Duration
	var wentOn sync.WaitGroup
	for i := range 8 {
		holds := NewHolds(bucket.join(), fmt.Sprint("pod", i), schedule, 30*time.Second, slog.New(slog.DiscardHandler))
		for range 16 {
			wentOn.Go(func() {
				holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""})
				proberCalls(t, holds, func() bool {
					mu.Lock()
					defer mu.Unlock()
					calls = append(calls, time.Since(began))
					return time.Since(began) >= outage
				})
			})
		}
	}
	wentOn.Wait()
	late := 0
	for _, at := range calls {
		if at > 30*time.Second && at < outage {
			late++
		}
	}
	if allowed := int((outage - 30*time.Second) / (5 * time.Second)); late >= allowed || late == 0 {
		t.Errorf("%d calls after the first half minute, want some and under %d", late, allowed)
	}
	if back := time.Since(began) - outage; back > schedule.Max+time.Second {
		t.Errorf("went on %s after the provider was back, want at most HOLD_MAX", back)
	}
	t.Logf("%s of outage: %d calls in all, %d after the first half minute, the fleet went on after %s",
		outage, len(calls), late, time.Since(began)-outage)
}

// proberCalls is what a sender does with a held provider. It returns
// when the provider is back.
func proberCalls(t *testing.T, holds *Holds, call func() (up bool)) {
	for {
		state := holds.State("courier")
		if !state.Held {
			return
		}
		if wait := time.Until(state.ProbeAt); wait > 0 {
			if waitFor(t.Context(), state.Changed, wait) != nil {
				return
			}
			continue
		}
		probe, won := holds.TryProbe(t.Context(), "courier", false)
		if !won {
			_ = waitFor(t.Context(), state.Changed, 250*time.Millisecond)
			continue
		}
		time.Sleep(time.Second) // the call, in fake time
		if call() {
			if err := probe.Succeeded(t.Context()); err != nil {
				t.Error(err)
			}
			return
		}
		if err := probe.Failed(t.Context(), Cause{Reason: "unavailable", Detail: ""}); err != nil {
			t.Error(err)
		}
	}
}
