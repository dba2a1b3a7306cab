package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// verdict is what a run has shown.
type verdict struct {
	books    *books
	tallies  map[string]tally
	done     map[kind]int
	problems []string
	lines    []string // the timeline
	dir      string   // of the pods' logs
}

// print sums the run up.
func (v verdict) print(out io.Writer) {
	b := v.books
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { _, _ = fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("events", "%d published, %d confirmed, %d in the stream", b.traffic.sent, len(b.traffic.confirmed), len(b.stored))
	for _, provider := range event.Providers() {
		t := v.tallies[provider]
		peak := fmt.Sprintf("peak of open calls %d of %d over the fleet", t.peak, cleverTapCap)
		if provider == event.Courier {
			peak = fmt.Sprintf("peak of open calls %d of %d a pod", t.peak, courierCalls)
		}
		row(provider, "%d events accepted, %d refused, %d letters; %d repeats; %d calls, %.1f records a call",
			t.accepted, t.refused, t.letters, t.repeats, t.calls, float64(t.records)/float64(max(t.calls, 1)))
		row("", "%s (%d without allowance, %d kept open by a stopped process); the latest accepted after %.1f s; longest time without acceptance %.1f s, until %.1f",
			peak, t.rawPeak, t.overstayed, t.latest.Seconds(), t.gap.Seconds(), t.gapEnd.Sub(b.began).Seconds())
	}
	n := v.done
	row("faults", "%d kill -9, %d SIGSTOP, %d SIGTERM; %d leaders stopped, %d killed, %d frozen; %d network: %d latency, %d reset, %d time-out",
		n[killPod], n[freezePod], n[termPod], n[stopLeader], n[killLeader], n[freezeLeader],
		n[latency]+n[resetPeer]+n[silence], n[latency], n[resetPeer], n[silence])
	row("", "providers: %d throttle, %d err, %d err and store, %d hang, %d refuse the key",
		n[throttles], n[errs], n[forgets], n[hangs], n[refusesKey])
	row("time", "%.1f s", b.ended.Sub(b.began).Seconds())
	result := "every event has its one outcome, nothing is pending, the cap held"
	if len(v.problems) > 0 {
		result = "FAILED"
	}
	row("result", "%s", result)
	_ = w.Flush() // the output is gone, then
}

// printFailure says what is wrong and all that led to it.
func (v verdict) printFailure(out io.Writer, s settings) {
	_, _ = fmt.Fprintf(out, "\nchaos: seed %d failed; the timeline, in seconds:\n%s\n\nWhat is wrong:\n- %s\n\nThe pods' logs are in %s\nAgain: SEED=%d DURATION=%s\n",
		s.seed, strings.Join(v.lines, "\n"), strings.Join(v.problems, "\n- "), v.dir, s.seed, s.duration.Round(time.Second))
}

// lastLine is the end of a log.
func lastLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}
