package replay

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// attempts puts letters of one id and one event, that were replayed so often.
func attempts(t *testing.T, js jetstream.JetStream, generations ...int) {
	t.Helper()
	for _, generation := range generations {
		m := nats.NewMsg(dlq.Subject(event.Courier, "http_400"))
		m.Data = []byte(`{"user_id":"u","token":"t","type":"fcm"}`)
		m.Header = nats.Header{dlq.HeaderID: {"ann"}, dlq.HeaderGeneration: {strconv.Itoa(generation)}, dlq.HeaderFailedAt: {time.Now().UTC().Format(time.RFC3339Nano)}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// planned makes the streams, letters of these generations and their plan.
func planned(t *testing.T, js jetstream.JetStream, generations ...int) *Plan {
	t.Helper()
	declare(t, js)
	attempts(t, js, generations...)
	letters, err := dlq.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(t.Context(), js, letters, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// A letter that still stands is told as left, whatever it went by.
func TestOnlyWhatIsGoneIsToldAsGone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		generations []int
		removed     []uint64 // between plan and run
		want        Totals
	}{
		"a later generation, still there":            {[]int{0, 1}, nil, Totals{Replayed: 1, Already: 1}},
		"a later generation, removed":                {[]int{0, 1}, []uint64{2}, Totals{Gone: 1, Left: 1}},
		"an earlier generation, removed":             {[]int{0, 1}, []uint64{1}, Totals{Replayed: 1, Gone: 1}},
		"both generations removed":                   {[]int{0, 1}, []uint64{1, 2}, Totals{Gone: 2}},
		"twins":                                      {[]int{0, 0, 0}, nil, Totals{Replayed: 1, Already: 2}},
		"twins, the first removed":                   {[]int{0, 0, 0}, []uint64{1}, Totals{Gone: 1, Left: 2}},
		"twins, a second removed":                    {[]int{0, 0, 0}, []uint64{2}, Totals{Replayed: 1, Already: 1, Gone: 1}},
		"twins, all removed":                         {[]int{0, 0, 0}, []uint64{1, 2, 3}, Totals{Gone: 3}},
		"twins of an earlier, the later one removed": {[]int{0, 0, 1}, []uint64{3}, Totals{Gone: 1, Left: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.New(t).JS
			plan := planned(t, js, c.generations...)
			for _, seq := range c.removed {
				if err := plan.letters.Remove(t.Context(), seq); err != nil {
					t.Fatal(err)
				}
			}
			report, err := plan.Run(t.Context(), func(Progress) {})
			c.want.Matched, c.want.Waiting = len(c.generations), c.want.Replayed
			if err != nil || report.Totals != c.want || report.Groups[0].Left[Unproven] != c.want.Left {
				t.Errorf("%+v, %v, want %+v", report, err, c.want)
			}
			extent, err := plan.letters.Extent(t.Context())
			if err != nil || int(extent.Letters) != c.want.Left {
				t.Errorf("%d letters stand, %v, and %d are told as left", extent.Letters, err, c.want.Left)
			}
		})
	}
}

// While the broker does not say whether a letter was replayed, nothing goes: its
// later generation would take the proof along.
func TestProofThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broker := brokertest.New(t)
	plan := planned(t, broker.JS, 0)
	conn, js := brokertest.Connect(t, broker.URL())
	var err error
	if plan.events, err = js.Stream(t.Context(), plan.events.CachedInfo().Config.Name); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	plan.entries[0].claim, plan.entries[0].proof = replayed, 1
	r := &run{Plan: plan, books: newBooks(plan, nil), hard: t.Context(), verdicts: make([]Verdict, 1)}
	r.soft, r.fail = context.WithCancelCause(t.Context())
	r.clearDone()
	if err := context.Cause(r.soft); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("%v", err)
	}
	r.conclude()
	if report := r.report(); report.Left != 1 || report.Groups[0].Left[NotReached] != 1 {
		t.Errorf("%+v", report)
	}
}

// Twins may have died of different things, so that they are of different groups:
// one that stays is no reason to tell the other as removed.
func TestTwinsGoTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first   entry
		verdict Verdict // of the first one's group
		stopped bool    // the run was
		state   state   // of its twin
		why     Why
		claim   claim
	}{
		"it was replayed":         {entry{state: taken, proof: 7}, Passed, false, twin, 0, replayed},
		"it was left":             {entry{state: left, why: Forgotten}, Passed, false, left, Forgotten, unclaimed},
		"its trial died again":    {entry{state: ready}, Failed, false, left, TrialFailed, unclaimed},
		"its trial stands open":   {entry{state: ready}, Open, false, left, TrialOpen, unclaimed},
		"its turn never came":     {entry{state: ready}, Passed, true, left, NotReached, unclaimed},
		"it was not there":        {entry{state: ready}, Passed, false, left, Unproven, unclaimed},
		"it was seen to be gone":  {entry{state: gone}, Passed, false, left, Unproven, unclaimed},
		"its proof was not there": {entry{state: ready, claim: leftover, proof: 7}, Passed, false, left, Unproven, unclaimed},
	} {
		second := entry{state: twin, group: 1}
		plan := &Plan{options: Options{Trial: 1}, Groups: make([]Group, 2), entries: []entry{c.first, second}, byReply: []uint32{0, 1}}
		soft, stop := context.WithCancel(t.Context())
		if c.stopped {
			stop()
		}
		r := &run{Plan: plan, books: newBooks(plan, nil), verdicts: []Verdict{c.verdict, Passed}, soft: soft}
		r.conclude()
		if got := plan.entries[1]; got.state != c.state || got.why != c.why || got.claim != c.claim {
			t.Errorf("%s: state %d, %q, claim %d", name, got.state, got.why, got.claim)
		}
		stop()
	}
}
