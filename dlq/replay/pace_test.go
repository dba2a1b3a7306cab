package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// busy is of a run of which something becomes known all the time.
func busy() time.Duration { return 0 }

func TestAdapt(t *testing.T) {
	t.Parallel()
	const limit = 250 * time.Millisecond
	for name, c := range map[string]struct {
		window int
		seen   pressure
		next   int
		yields bool
	}{
		"nothing under way":                   {100, pressure{}, 100, false},
		"the window holds us up":              {100, pressure{underWay: 100}, 150, false},
		"the workers do not keep up":          {400, pressure{unread: 300, underWay: 400}, 300, false},
		"just enough stands in the stream":    {400, pressure{unread: 150, underWay: 400}, 400, false},
		"live events wait":                    {400, pressure{oldest: limit + 1, unread: 10, underWay: 400}, 200, true},
		"live events wait as long as allowed": {400, pressure{oldest: limit, unread: 10, underWay: 400}, 600, false},
		"a backlog":                           {12, pressure{unread: 90_000, underWay: 12}, leastWindow, false},
		"never more than":                     {mostWindow, pressure{underWay: mostWindow}, mostWindow, false},
	} {
		if next, yields := adapt(c.window, c.seen, limit); next != c.next || yields != c.yields {
			t.Errorf("%s: %d, %v; want %d, %v", name, next, yields, c.next, c.yields)
		}
	}
	if next, yields := adapt(10, pressure{oldest: time.Hour, unread: 1e6}, 0); next != mostWindow || yields {
		t.Errorf("who does not yield got %d, %v", next, yields)
	}
}

func TestWindowStaysWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		window := firstWindow
		for range rapid.IntRange(1, 50).Draw(r, "looks") {
			seen := pressure{time.Duration(rapid.IntRange(0, 500).Draw(r, "oldest")) * time.Millisecond,
				rapid.IntRange(0, 10_000).Draw(r, "unread"), rapid.IntRange(0, mostWindow).Draw(r, "under way")}
			next, yields := adapt(window, seen, 250*time.Millisecond)
			if next < leastWindow || next > mostWindow {
				r.Fatalf("a window of %d", next)
			}
			if yields && next > window || yields != (seen.oldest > 250*time.Millisecond) {
				r.Fatalf("yields: %v, %d after %d at %+v", yields, next, window, seen)
			}
			window = next
		}
	})
}

func TestPaceWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(nil, Options{Yield: time.Second}, busy)
		for range firstWindow {
			if err := p.enter(t.Context(), 0, false); err != nil {
				t.Fatal(err)
			}
		}
		entered := make(chan error)
		go func() { entered <- p.enter(t.Context(), 0, false) }()
		synctest.Wait()
		select {
		case err := <-entered:
			t.Fatal(err, "one more than the window went in")
		default:
		}
		p.leave(0, true)
		if err := <-entered; err != nil {
			t.Fatal(err)
		}

		p.observe(2*time.Second, 0) // live events wait
		for range firstWindow {
			p.leave(0, true)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { entered <- p.enter(ctx, 0, false) }()
		synctest.Wait()
		if yields, oldest := p.yielding(); !yields || oldest != 2*time.Second {
			t.Errorf("yielding: %v, %v", yields, oldest)
		}
		p.observe(0, 0)
		if err := <-entered; err != nil {
			t.Fatal(err)
		}
		p.observe(2*time.Second, 0)
		go func() { entered <- p.enter(ctx, 0, false) }()
		synctest.Wait()
		cancel()
		if err := <-entered; err == nil {
			t.Error("it went in after the end")
		}
	})
}

func TestPaceKeepsTheRate(t *testing.T) {
	t.Parallel()
	for _, trial := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(rate.NewLimiter(10, 1), Options{}, busy)
			begun := time.Now()
			for range 31 {
				if err := p.enter(t.Context(), 0, trial); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begun); took < 3*time.Second || took > 3100*time.Millisecond {
				t.Errorf("31 at 10 a second took %s, trial %v", took, trial)
			}
		})
	}
}

// The few of a trial need no room in the window, and go while live events wait.
func TestPaceOfATrial(t *testing.T) {
	t.Parallel()
	p := newPace(nil, Options{Yield: time.Second}, busy)
	p.observe(2*time.Second, 0) // live events wait
	for range firstWindow + 1 {
		if err := p.enter(t.Context(), 0, true); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := p.enter(ended, 0, false); err == nil {
		t.Error("another went, too")
	}
}

// A group earns its room: what still goes when it is stopped is never more than
// what went well before.
func TestPaceOfAGroup(t *testing.T) {
	t.Parallel()
	const bad, good = 1, 2
	for _, maxFail := range []int{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(nil, Options{MaxFail: maxFail}, busy) // who does not yield has a window of mostWindow at once
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			went := 0
			for p.enter(ctx, bad, false) == nil {
				went++
			}
			if want := map[int]int{0: mostWindow, 10: firstWindow}[maxFail]; went != want {
				t.Errorf("%d of a group nobody knows went, want %d", went, want)
			}
			if maxFail == 0 {
				return
			}
			for range went {
				p.leave(bad, false)
			}
			for range 3 * firstWindow {
				if err := p.enter(t.Context(), good, true); err != nil {
					t.Fatal(err)
				}
				p.leave(good, true)
			}
			for group, want := range map[int]int{bad: firstWindow, good: 3 * firstWindow} {
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				went := 0
				for p.enter(ctx, group, false) == nil {
					went++
				}
				stop()
				if went != want {
					t.Errorf("group %d: %d went, want %d", group, went, want)
				}
			}
		})
	}
}

// Who waits for outcomes that do not come gives up; for live events it waits as
// long as it takes.
func TestPaceGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		p := newPace(nil, Options{Wait: time.Minute, Yield: time.Second}, func() time.Duration { return time.Since(begun) })
		for range firstWindow {
			if err := p.enter(t.Context(), 0, false); err != nil {
				t.Fatal(err)
			}
		}
		entered := make(chan error)
		go func() { entered <- p.enter(t.Context(), 0, false) }()
		for range 120 { // an hour, the last look half a minute before its end
			p.observe(2*time.Second, 0)
			time.Sleep(30 * time.Second)
		}
		p.observe(0, 0)
		if err := <-entered; !errors.Is(err, errUnanswered) || time.Since(begun) != time.Hour+30*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
