package delivery

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// call makes one call and keeps the books of it: metrics, the log line, and
// the evidence for or against the provider. It reports false when there is no
// verdict: the permit is lost, or the call was cut off.
func (s *sender) call(seg segment) (answer providers.Answer, made bool) {
	ctx := s.work
	if s.permit != nil {
		until, ok := s.permit.Await(s.stop)
		if !ok {
			return providers.Answer{}, false
		}
		// The call's own time-out is shorter; this one also ends a call that
		// a paused process would begin after its lease.
		covered, cancel := context.WithDeadline(s.work, until)
		defer cancel()
		ctx = covered
	}
	answer = s.tally(ctx, seg)
	return answer, answer.Result != providers.Unavailable || ctx.Err() == nil
}

// tally makes the call and counts it.
func (d *Desk) tally(ctx context.Context, s segment) providers.Answer {
	if !s.counted {
		d.metrics.flushes[s.trigger].Inc()
		d.metrics.records.Observe(float64(len(s.items)))
	}
	d.metrics.open.Inc()
	began := time.Now()
	answer := d.callSafely(ctx, recordsOf(s.items))
	took := time.Since(began)
	d.metrics.open.Dec()
	d.metrics.duration.Observe(took.Seconds())
	d.metrics.calls[answer.Result].Inc()

	accepted := acceptedOf(answer, len(s.items))
	switch {
	case accepted > 0:
		d.evidence.noteAccepted(began)
		d.refusedInARow.Store(0)
		d.doubtsInARow.Store(0)
	case len(answer.Refusals) == 0 && (s.suspect || answer.Result != providers.Unavailable):
		d.refusedInARow.Add(1)
		if s.items[0].alone == 0 {
			d.doubtsInARow.Add(1)
		}
	}
	d.logCall(s, answer, accepted, took)
	return answer
}

// callSafely turns a panic in a provider's code into a refusal: of the one
// record, or of the whole call, which is then split to find it.
func (d *Desk) callSafely(ctx context.Context, records []providers.Record) (answer providers.Answer) {
	defer func() {
		if p := recover(); p != nil {
			d.logPanic(p)
			answer = providers.Answer{Result: providers.Refused, Code: codeInternalError,
				Reason: "a panic while the call was made; the stack is in the log"}
			if len(records) == 1 {
				answer.Refusals = []providers.Refusal{{Code: answer.Code, Reason: answer.Reason}}
			}
		}
	}()
	return d.Provider.Call(ctx, records)
}

func acceptedOf(answer providers.Answer, records int) int {
	switch answer.Result {
	case providers.OK, providers.Partial:
		return records - len(answer.Refusals)
	}
	return 0
}

// logCall writes one line a call where calls are few (batches); single-record
// calls go to debug and into the summary.
func (d *Desk) logCall(s segment, answer providers.Answer, accepted int, took time.Duration) {
	write := d.Log.Info
	if d.Provider.MaxRecords() == 1 {
		d.summary.add(answer.Result)
		if !d.Log.Enabled(context.Background(), slog.LevelDebug) {
			return
		}
		write = d.Log.Debug
	}
	args := []any{"records", len(s.items), "result", string(answer.Result), "accepted", accepted,
		"status", answer.Status, "ms", took.Milliseconds(), "trigger", s.trigger}
	if answer.Reason != "" {
		args = append(args, "reason", answer.Reason)
	}
	write("call", args...)
}

// summaryEvery is how often single-record calls are summed up in the log.
const summaryEvery = 10 * time.Second

// summary counts single-record calls since the last line about them.
type summary struct {
	ok, other atomic.Uint64
}

func (s *summary) add(result providers.Result) {
	if result == providers.OK {
		s.ok.Add(1)
		return
	}
	s.other.Add(1)
}

func (d *Desk) summarise(stop context.Context) {
	ticker := time.NewTicker(summaryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-stop.Done():
			d.logSummary()
			return
		}
		d.logSummary()
	}
}

func (d *Desk) logSummary() {
	ok, other := d.summary.ok.Swap(0), d.summary.other.Swap(0)
	if ok+other > 0 {
		d.Log.Info("calls", "ok", ok, "not_ok", other, "over", summaryEvery.String())
	}
}
