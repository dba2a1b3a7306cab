package replay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

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
		p := newPace(nil, time.Second)
		for range firstWindow {
			if err := p.enter(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		entered := make(chan error)
		go func() { entered <- p.enter(t.Context(), false) }()
		synctest.Wait()
		select {
		case err := <-entered:
			t.Fatal(err, "one more than the window went in")
		default:
		}
		p.leave()
		if err := <-entered; err != nil {
			t.Fatal(err)
		}

		p.observe(2*time.Second, 0) // live events wait
		for range firstWindow {
			p.leave()
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { entered <- p.enter(ctx, false) }()
		synctest.Wait()
		if yields, oldest := p.yielding(); !yields || oldest != 2*time.Second {
			t.Errorf("yielding: %v, %v", yields, oldest)
		}
		p.observe(0, 0)
		if err := <-entered; err != nil {
			t.Fatal(err)
		}
		p.observe(2*time.Second, 0)
		go func() { entered <- p.enter(ctx, false) }()
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
			p := newPace(rate.NewLimiter(10, 1), 0)
			begun := time.Now()
			for range 31 {
				if err := p.enter(t.Context(), trial); err != nil {
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
	p := newPace(nil, time.Second)
	p.observe(2*time.Second, 0) // live events wait
	for range firstWindow + 1 {
		if err := p.enter(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := p.enter(ended, false); err == nil {
		t.Error("another went, too")
	}
}
