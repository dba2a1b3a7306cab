package fleet

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPauseGrowsFromMinToMax(t *testing.T) {
	t.Parallel()
	s := Schedule{Min: 2 * time.Second, Max: 5 * time.Minute}
	nominal := s.Min
	for step := range 20 {
		for range 50 {
			got := s.Pause(step, 0)
			low := time.Duration(float64(nominal) * (1 - jitter))
			high := min(time.Duration(float64(nominal)*(1+jitter)), s.Max)
			if got < low || got > high {
				t.Fatalf("step %d: %s, want %s to %s", step, got, low, high)
			}
		}
		nominal = min(2*nominal, s.Max)
	}
	for _, c := range []struct{ floor, want time.Duration }{{time.Minute, time.Minute}, {time.Hour, s.Max}} {
		if got := s.Pause(0, c.floor); got != c.want {
			t.Errorf("a provider that asks for %s gets %s, want %s", c.floor, got, c.want)
		}
	}
}

func TestAHoldQuietsEveryPodAndEndsForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	b, _ := w.join("b", 3)
	if !a.holds.Begin(t.Context(), "courier", Cause{Reason: "throttled", Detail: "HTTP 429"}) {
		t.Fatal("the hold did not begin")
	}
	eventually(t, "b is quiet", func() bool { return b.holds.State("courier").Held })
	if b.holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""}) {
		t.Error("a second hold began while one stands")
	}
	if b.holds.State("clevertap").Held {
		t.Error("the other provider is held, too")
	}
	late, _ := w.join("late", 3)
	if state := late.holds.State("courier"); !state.Held || state.Hold.Reason != "throttled" || state.Hold.Detail != "HTTP 429" {
		t.Errorf("a pod that joins sees %+v", state)
	}
	probe := w.win(a)
	if err := probe.Succeeded(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*pod{a, b, late} {
		eventually(t, "the pod goes on", func() bool { return !p.holds.State("courier").Held })
	}
}

// win waits for the pause to end and wins the probe.
func (w *world) win(p *pod) *Probe {
	w.t.Helper()
	var probe *Probe
	eventually(w.t, "the probe is to be had", func() bool {
		won, ok := p.holds.TryProbe(w.t.Context(), "courier", false)
		probe = won
		return ok
	})
	return probe
}

func TestOneProberAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	pods := make([]*pod, 4)
	for i := range pods {
		pods[i], _ = w.join(string(rune('a'+i)), 3)
	}
	pods[0].holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""})
	var probing, most, failed atomic.Int32
	var all sync.WaitGroup
	for _, p := range pods {
		all.Go(func() {
			for failed.Load() < 3 {
				probe, won := p.holds.TryProbe(t.Context(), "courier", false)
				if !won {
					<-time.After(time.Millisecond)
					continue
				}
				if now := probing.Add(1); now > most.Load() {
					most.Store(now)
				}
				<-time.After(5 * time.Millisecond)
				probing.Add(-1)
				failed.Add(1)
				if err := probe.Failed(t.Context(), Cause{Reason: "unavailable", Detail: "still"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d probed at once", most.Load())
	}
	eventually(t, "the step counts the failures", func() bool { return pods[0].holds.State("courier").Hold.Step >= 3 })
}

func TestAProbersDeathIsSurvived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 400*time.Millisecond)
	a, leave := w.join("a", 3)
	b, _ := w.join("b", 3)
	a.holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""})
	dead := w.win(a)
	won := time.Now()
	leave()
	if err := w.win(b).Succeeded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if passed := time.Since(won); passed < w.lease {
		t.Errorf("the probe was taken over %s after it was won, the lease is %s", passed, w.lease)
	}
	if err := dead.Failed(context.Background(), Cause{Reason: "unavailable", Detail: ""}); err == nil {
		t.Error("the dead prober's word was taken")
	}
	if a, _ := w.join("again", 3); a.holds.State("courier").Held {
		t.Error("held again by the dead prober")
	}
}

func TestAnAbandonedProbeIsAnybodys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	a.holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""})
	if err := w.win(a).Abandoned(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := a.holds.State("courier")
	if !state.Held || state.Hold.Step != 0 || state.Hold.Prober != "" {
		t.Errorf("after an abandoned probe: %+v", state.Hold)
	}
	w.win(a)
}

func TestResumeEndsAHoldNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	operator, _ := w.join("operator", 3)
	a.holds.Begin(t.Context(), "courier", Cause{Reason: "misconfigured", Detail: "", Floor: time.Second})
	eventually(t, "the operator sees it", func() bool { return operator.holds.State("courier").Held })
	for _, want := range []bool{true, false} {
		resumed, err := operator.holds.Resume(t.Context(), "courier", false)
		if err != nil || resumed.Held != want {
			t.Errorf("resume: %v, %v; want %v", resumed, err, want)
		}
	}
	eventually(t, "the pod goes on", func() bool { return !a.holds.State("courier").Held })
}

// An operator's word reaches every pod, one that keeps a hold alone included.
func TestResumeReachesEveryPod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	operator, _ := w.join("operator", 3)
	if resumed, err := operator.holds.Resume(t.Context(), "courier", true); err != nil || resumed.Held || len(resumed.Pods) > 0 {
		t.Errorf("with nobody there: %+v, %v", resumed, err)
	}
	believed := make(chan string, 2)
	pods := map[string]*pod{}
	for _, name := range []string{"a", "b"} {
		p, _ := w.join(name, 3)
		pods[name] = p
		listening, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.holds.Listen(listening, "courier", func() { believed <- name }) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	alone := pods["a"].holds
	alone.local["courier"] = localHold{hold: Hold{Reason: "unavailable"}, ends: time.Now().Add(time.Hour)}
	changed := alone.State("courier").Changed
	eventually(t, "both have heard", func() bool {
		resumed, err := operator.holds.Resume(t.Context(), "courier", false)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(resumed.Pods)
		return slices.Equal(resumed.Pods, []string{"a", "b"})
	})
	<-changed // who waits looks again
	if alone.State("courier").Held {
		t.Error("a pod still keeps a hold alone")
	}
	if len(believed) > 0 {
		t.Errorf("%s believes unasked", <-believed)
	}
	if _, err := operator.holds.Resume(t.Context(), "courier", true); err != nil {
		t.Fatal(err)
	}
	if first, second := <-believed, <-believed; first == second {
		t.Errorf("only %s believes", first)
	}
}

// Without the bucket a pod is quiet by itself, for one pause.
func TestAHoldWithoutTheBucketIsThisPodsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	a.nc.Close()
	if !a.holds.Begin(t.Context(), "courier", Cause{Reason: "unavailable", Detail: ""}) {
		t.Fatal("the hold did not begin")
	}
	if !a.holds.State("courier").Held {
		t.Fatal("not held")
	}
	eventually(t, "the pause is over", func() bool {
		_, won := a.holds.TryProbe(t.Context(), "courier", false)
		return !won && !a.holds.State("courier").Held
	})
}

func TestProbeAt(t *testing.T) {
	t.Parallel()
	seen := time.Now()
	near := func(got, want time.Time) bool { return got.Sub(want).Abs() < time.Second }
	for _, c := range []struct {
		name string
		hold Hold
		want time.Time
	}{
		{"seen as it began", Hold{Until: seen.Add(time.Minute), PauseMS: time.Minute.Milliseconds()}, seen.Add(time.Minute)},
		{"seen late: the wall clock shortens the wait", Hold{Until: seen.Add(10 * time.Second), PauseMS: time.Minute.Milliseconds()}, seen.Add(10 * time.Second)},
		{"a writer whose clock is ahead cannot lengthen it", Hold{Until: seen.Add(time.Hour), PauseMS: time.Minute.Milliseconds()}, seen.Add(time.Minute)},
		{"somebody probes: not before that is stale", Hold{Until: seen, PauseMS: time.Minute.Milliseconds(), Prober: "a"}, seen.Add(30 * time.Second)},
	} {
		if got := probeAt(c.hold, seen, 30*time.Second); !near(got, c.want) {
			t.Errorf("%s: in %s, want %s", c.name, got.Sub(seen), c.want.Sub(seen))
		}
	}
}

// A hold that a wrong key led to is probed as soon as one pod has another key,
// once in the fleet, and not before a probe that is under way has ended.
func TestHasten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	b, _ := w.join("b", 3)
	for _, p := range []*pod{a, b} {
		p.holds.schedule = Schedule{Min: time.Hour, Max: time.Hour}
	}
	hasten := func(p *pod, reason string) {
		t.Helper()
		if err := p.holds.Hasten(t.Context(), "courier", reason); err != nil {
			t.Fatal(err)
		}
	}
	due := func(p *pod) bool { return !time.Now().Before(p.holds.State("courier").ProbeAt) }
	hasten(a, "unauthorized") // nothing is held
	a.holds.Begin(t.Context(), "courier", Cause{Reason: "unauthorized"})
	eventually(t, "b knows", func() bool { return b.holds.State("courier").Held })
	hasten(a, "throttled")
	if due(a) || due(b) {
		t.Fatal("a hold of another reason was hastened")
	}
	hasten(a, "unauthorized")
	hasten(b, "unauthorized")
	eventually(t, "the probe is due for both", func() bool { return due(a) && due(b) })

	probe := w.win(a)
	eventually(t, "b knows of the probe", func() bool { return b.holds.State("courier").Hold.Prober == "a" })
	hastened := make(chan error, 1)
	go func() { hastened <- b.holds.Hasten(t.Context(), "courier", "unauthorized") }()
	if err := probe.Failed(t.Context(), Cause{Reason: "unauthorized"}); err != nil {
		t.Fatal(err)
	}
	if err := <-hastened; err != nil {
		t.Fatal(err)
	}
	if err := w.win(b).Succeeded(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Whoever waits in a pod that keeps a hold alone goes on, too.
func TestHastenAHoldOfThisPodAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, long)
	a, _ := w.join("a", 3)
	a.holds.schedule = Schedule{Min: time.Hour, Max: time.Hour}
	a.nc.Close()
	a.holds.Begin(t.Context(), "courier", Cause{Reason: "unauthorized"})
	state := a.holds.State("courier")
	if !state.Held {
		t.Fatal("not held")
	}
	if err := a.holds.Hasten(t.Context(), "courier", "unauthorized"); err != nil {
		t.Fatal(err)
	}
	if !isClosed(state.Changed) {
		t.Error("whoever waits is not told")
	}
	if _, won := a.holds.TryProbe(t.Context(), "courier", false); won || a.holds.State("courier").Held {
		t.Error("still held")
	}
}
