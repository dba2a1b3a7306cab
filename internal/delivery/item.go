package delivery

import (
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/providers"
)

// item is an event on its way: the broker's message and the provider's record
// of it. It belongs to one goroutine at a time: the pull, then the batcher,
// then the sender, then the parking lot.
type item struct {
	message  *consumer.Message
	record   providers.Record
	replayed bool // it came on the provider's own subject

	alone     int       // times it failed alone: it is suspect itself
	failedAt  time.Time // the last of them
	failing   time.Time // the first of them
	rounds    int       // of them, those since whose forerunner others were accepted
	disbelief int       // refusals by name that were not believed yet: a call more may do
	accused   int       // refusals by name that were not believed, of a provider that refuses everything
	probes    int       // times it served as a probe
	answer    providers.Answer
}

// longestDelay is for what fails for long: a part of a provider that is down
// for an hour is not asked more often.
const longestDelay = 5 * time.Minute

// delay is how long it is set aside before its next call: short while it only
// waits for evidence, growing when it keeps failing where others do not.
func (it *item) delay() time.Duration {
	if failed := it.rounds + it.disbelief + it.accused; failed > 0 {
		return min(time.Second<<min(failed-1, 9), longestDelay)
	}
	return 500 * time.Millisecond << min(max(it.alone-1, 0), 2)
}

// failAlone notes one more call that failed with nothing but this record in it.
func (it *item) failAlone(othersAccepted bool, answer providers.Answer) {
	if othersAccepted {
		it.rounds++
	}
	now := time.Now()
	if it.alone == 0 {
		it.failing = now
	}
	it.alone, it.failedAt, it.answer = it.alone+1, now, answer
}

// outOfPatience is for a record that fails alone once more, while others are
// accepted: it did so in that many rounds, this one included, and for so long.
func (it *item) outOfPatience(rounds int, age time.Duration) bool {
	return it.rounds+1 >= rounds && it.alone > 0 && time.Since(it.failing) >= age
}

// failNamed notes that it was refused by name, and that this is not believed.
func (it *item) failNamed(refusal providers.Refusal, status int) {
	it.accused++
	it.failAlone(false, providers.Answer{Code: refusal.Code, Reason: refusal.Reason, Status: status})
}

// segment is a set of items that one call is made for.
type segment struct {
	items   []*item
	trigger string
	suspect bool // a call with these and others was refused
	made    int  // calls made for exactly these since the last hold
	counted bool // its flush is in the metrics
	held    bool // the provider was held because of it
	spacing *backoff.ExponentialBackOff
}

// job is what a sender works on: one batch, and what became of it.
type job struct {
	stack    []segment // next on top: a split goes depth first
	accused  []*item   // refused alone or by name, waiting for evidence
	room     int       // of the batches that joined in a hold
	bytes    int       // of all batches, as the room counts them
	troubled bool
	since    time.Time // when the trouble began
}

func newJob(items []*item, trigger string) *job {
	return &job{stack: []segment{{items: items, trigger: trigger}}}
}

// newJobAlone is for a record that is sent by itself, perhaps because it has
// failed so before.
func newJobAlone(it *item) *job {
	return &job{stack: []segment{{items: []*item{it}, trigger: triggerSplit, suspect: it.alone > 0}}}
}

// sizeOf is what the room counts of them.
func sizeOf(items []*item) (bytes int) {
	for _, it := range items {
		bytes += it.message.Size()
	}
	return bytes
}

// join adds to a job that waits, to come last. A batch fills up the one that
// joined before it, up to limit; what is to be sent alone stays alone.
func (j *job) join(items []*item, trigger string, limit int) {
	if len(j.stack) > 0 && trigger != triggerSplit {
		last := &j.stack[0]
		if last.trigger != triggerSplit && !last.counted && len(last.items)+len(items) <= limit {
			last.items = slices.Concat(last.items, items)
			return
		}
	}
	j.stack = slices.Insert(j.stack, 0, segment{items: items, trigger: trigger})
}

func (j *job) push(s segment) { j.stack = append(j.stack, s) }

// pop takes the next segment.
func (j *job) pop() (segment, bool) {
	if len(j.stack) == 0 {
		return segment{}, false
	}
	top := len(j.stack) - 1
	next := j.stack[top]
	j.stack = j.stack[:top]
	return next, true
}

// drop takes an item out of the job that ends, or goes on, elsewhere.
func (j *job) drop(gone *item) {
	isGone := func(it *item) bool { return it == gone }
	for i := range j.stack {
		j.stack[i].items = slices.DeleteFunc(slices.Clone(j.stack[i].items), isGone)
	}
	j.stack = slices.DeleteFunc(j.stack, func(s segment) bool { return len(s.items) == 0 })
	j.accused = slices.DeleteFunc(j.accused, isGone)
}

// pushHalves puts both halves on the stack, the first on top.
func (j *job) pushHalves(s segment) {
	middle := (len(s.items) + 1) / 2
	j.push(segment{items: s.items[middle:], trigger: triggerSplit, suspect: true})
	j.push(segment{items: s.items[:middle], trigger: triggerSplit, suspect: true})
}

// left yields what the job still has to end, those not accused first.
func (j *job) left(yield func(*item) bool) {
	for _, s := range slices.Backward(j.stack) {
		for _, it := range s.items {
			if !yield(it) {
				return
			}
		}
	}
	for _, it := range j.accused {
		if !yield(it) {
			return
		}
	}
}

// leastProbed is the item to probe with: a different one each time.
func (j *job) leastProbed() *item {
	var least *item
	for it := range j.left {
		if least == nil || it.probes+it.alone < least.probes+least.alone {
			least = it
		}
	}
	return least
}
