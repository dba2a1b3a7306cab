package sandbox

import (
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"strconv"
	"sync"
	"time"
)

// maxFingerprints bounds the memory for counting repetitions, to about 150 MB.
const maxFingerprints = 8 << 20

// book is what one provider has seen.
type book struct {
	limit     int           // calls open at once; 0 or less is none
	grace     time.Duration // Settings.LeaveGrace
	recording Recording
	keep      int
	keepCalls int
	watch     *watch
	seed      maphash.Seed

	mu       sync.Mutex // guards all below
	since    time.Time
	count    ProviderReport
	arrived  int // calls, for Call.Seq
	late     map[*latecomer]struct{}
	accepted ring[Record]
	refused  ring[Record]
	calls    ring[Call]
	seen     map[uint64]struct{}
}

// latecomer is a call over the cap that waits out the grace.
type latecomer struct {
	open int // calls open, itself included, those left by their clients since then not
	fits chan struct{}
}

func newBook(s Settings, limit int, w *watch) *book {
	b := &book{limit: limit, grace: s.LeaveGrace, recording: s.Recording, keep: s.Keep, keepCalls: s.KeepCalls, watch: w, seed: maphash.MakeSeed()}
	b.late = map[*latecomer]struct{}{}
	b.reset()
	return b
}

// reset forgets everything but the calls that are open.
func (b *book) reset() {
	defer b.watch.changed()
	b.mu.Lock()
	defer b.mu.Unlock()
	open := b.count.Open
	b.since = time.Now()
	b.count = ProviderReport{Open: open, PeakOpen: open, Statuses: map[string]int{}, Refused: map[string]int{}, CallSizes: map[int]int{}}
	b.seen = map[uint64]struct{}{}
	b.accepted, b.refused, b.calls = ring[Record]{cap: b.keep}, ring[Record]{cap: b.keep}, ring[Call]{cap: b.keepCalls}
}

// enter counts a call in, and marks it when it is over the cap.
func (b *book) enter(ctx context.Context, call *Call) {
	defer b.watch.changed()
	b.mu.Lock()
	b.arrived++
	b.count.Open++
	call.Seq, call.Open = b.arrived, b.count.Open
	if b.limit <= 0 || b.count.Open <= b.limit {
		b.count.PeakOpen = max(b.count.PeakOpen, b.count.Open)
		b.mu.Unlock()
		return
	}
	l := &latecomer{open: b.count.Open, fits: make(chan struct{})}
	b.late[l] = struct{}{}
	b.mu.Unlock()

	grace := time.NewTimer(b.grace)
	defer grace.Stop()
	select {
	case <-l.fits:
	case <-grace.C:
	case <-ctx.Done():
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.late, l)
	call.Open = l.open
	b.count.PeakOpen = max(b.count.PeakOpen, l.open)
	call.over = l.open > b.limit
}

// leave counts a call out and writes it down. It is called just before the
// answer is written: who has read the answer may open the next call at once,
// and finds this one in the report.
func (b *book) leave(call Call, clientLeft bool) {
	defer b.watch.changed()
	call.End = time.Now()
	status := "none"
	if call.Status != 0 {
		status = strconv.Itoa(call.Status)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count.Open--
	b.count.Calls++
	b.count.Statuses[status]++
	if call.over {
		b.count.Throttled++
	}
	if call.read {
		b.count.Records += call.Records
		b.count.CallSizes[call.Records]++
		b.count.MaxSize = max(b.count.MaxSize, call.Records)
	}
	b.calls.add(call)
	if !clientLeft {
		return
	}
	for l := range b.late {
		if l.open--; l.open == b.limit {
			close(l.fits)
		}
	}
}

// settle takes the records of one call: those without a code are accepted.
func (b *book) settle(records []Record, dryRun bool) {
	defer b.watch.changed()
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range records {
		r := &records[i]
		r.At = now
		switch {
		case r.Code != "":
			b.count.Refused[r.Code]++
			b.remember(&b.refused, r)
		case dryRun:
			b.count.DryRun++
		default:
			b.count.Accepted++
			r.Repeated = b.again(r)
			if r.Repeated {
				b.count.Repeated++
			}
			b.remember(&b.accepted, r)
		}
	}
}

func (b *book) remember(kind *ring[Record], r *Record) {
	if b.recording != RecordAll {
		b.count.Forgotten++
		return
	}
	r.Seq = kind.next()
	if kind.add(*r) {
		b.count.Forgotten++
	}
}

func (b *book) again(r *Record) bool {
	if b.recording == RecordCounts {
		return false
	}
	var h maphash.Hash
	h.SetSeed(b.seed)
	_, _ = h.WriteString(r.Identity)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(r.Token)
	fingerprint := h.Sum64()
	if _, ok := b.seen[fingerprint]; ok {
		return true
	}
	if len(b.seen) < maxFingerprints {
		b.seen[fingerprint] = struct{}{}
	}
	return false
}

func (b *book) report() ProviderReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	report := b.count
	report.Statuses, report.Refused, report.CallSizes = maps.Clone(report.Statuses), maps.Clone(report.Refused), maps.Clone(report.CallSizes)
	calls := 0
	for _, n := range report.CallSizes {
		calls += n
	}
	if calls > 0 {
		report.MeanSize = float64(report.Records) / float64(calls)
	}
	return report
}

// from walks the remembered records with a higher Seq. It copies a page at a
// time, so that a slow reader does not stop the calls.
func (b *book) from(refused bool, seq int) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for {
			records := b.page(refused, seq)
			if len(records) == 0 {
				return
			}
			for _, record := range records {
				seq = record.Seq
				if !yield(record) {
					return
				}
			}
		}
	}
}

func (b *book) page(refused bool, seq int) []Record {
	const size = 1000
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused {
		return b.refused.after(seq, size)
	}
	return b.accepted.after(seq, size)
}

func (b *book) lastCalls() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls.after(0, b.keepCalls)
}
