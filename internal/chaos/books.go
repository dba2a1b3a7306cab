package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// promptly is how late an event may come without a fault.
const promptly = 2 * time.Second

// books are what the observer found, at the providers and in the streams, when
// all was over.
type books struct {
	traffic  traffic
	stored   map[int][]time.Time // events in the stream, and since when
	letters  []deadLetter
	accepted map[string][]sandbox.Record // by provider, in order
	refused  map[string][]sandbox.Record
	calls    []seenCall
	freezes  [][]freeze // by pod
	pending  string     // what still waits; empty: nothing
	calm     bool       // there were no faults
	began    time.Time
	ended    time.Time
}

// tally is what the books say about one provider.
type tally struct {
	calls    int
	records  int // that the provider took or refused by name, repeats included
	accepted int // different ones
	repeats  int // accepted again
	refused  int // different ones
	letters  int
	latest   time.Duration // longest from the stream to the first acceptance

	peak       int           // calls open, of CleverTap over the fleet, of Courier in one pod
	rawPeak    int           // the same without any allowance
	overstayed int           // calls that a stopped process kept open
	gap        time.Duration // longest time without an acceptance
	gapEnd     time.Time
}

// audit finds everything that is wrong with the books, and sums them up.
func (b *books) audit() (problems []string, tallies map[string]tally) {
	tallies = map[string]tally{}
	var found complaints
	if b.pending != "" {
		found.add("still pending at the end", b.pending)
	}
	for number := range b.traffic.confirmed {
		if len(b.stored[number]) == 0 {
			found.add("confirmed, but not in the stream", number)
		}
	}
	for number, times := range b.stored {
		if len(times) > 1 {
			found.add("stored more than once", number)
		}
		if number < 0 || number >= b.traffic.sent {
			found.add("in the stream, but never published", number)
		}
	}
	for _, provider := range event.Providers() {
		t := b.outcomes(provider, &found)
		if t.latest = b.latest(provider); b.calm && (t.repeats > 0 || t.latest > promptly) {
			found.add(provider+": without a fault events came twice, or late", fmt.Sprintf("%d repeats, the latest after %s", t.repeats, t.latest))
		}
		b.open(provider, &t, &found)
		tallies[provider] = t
	}
	return found.list(), tallies
}

// outcomes checks that every event in the stream has exactly one outcome at
// the provider, and the one that it must have.
func (b *books) outcomes(provider string, found *complaints) (t tally) {
	accepted, letters := map[int]int{}, map[int][]string{}
	last := b.began
	for _, r := range b.accepted[provider] {
		accepted[numberOf(r.Token)]++
		if gap := r.At.Sub(last); gap > t.gap {
			t.gap, t.gapEnd = gap, r.At
		}
		last = r.At
	}
	refused := map[int]bool{}
	for _, r := range b.refused[provider] {
		refused[numberOf(r.Token)] = true
	}
	for _, l := range b.letters {
		if l.provider == provider {
			letters[l.number] = append(letters[l.number], l.code)
			t.letters++
		}
	}
	t.records = len(b.accepted[provider]) + len(b.refused[provider])
	t.accepted, t.repeats, t.refused = len(accepted), len(b.accepted[provider])-len(accepted), len(refused)
	for number := range b.stored {
		want, times, codes := fateOf(number, provider), accepted[number], letters[number]
		switch {
		case !want.addressed && times+len(codes) > 0:
			found.add(provider+": an event for the other provider came here", number)
		case !want.addressed:
		case times == 0 && len(codes) == 0:
			found.add(provider+": lost, neither accepted nor a letter", number)
		case times > 0 && len(codes) > 0:
			found.add(provider+": two outcomes, accepted and a letter "+codes[0], number)
		case len(codes) > 1:
			found.add(provider+": two letters", number)
		case want.code == "" && len(codes) == 1:
			found.add(provider+": a letter "+codes[0]+" of a record that the provider takes", number)
		case want.code != "" && times == 0 && codes[0] != want.code:
			found.add(provider+": a letter "+codes[0]+" that must say "+want.code, number)
		}
	}
	for _, numbers := range [][]int{slices.Collect(maps.Keys(accepted)), slices.Collect(maps.Keys(letters))} {
		for _, number := range numbers {
			if len(b.stored[number]) == 0 {
				found.add(provider+": came out, but is not in the stream", number)
			}
		}
	}
	return t
}

// latest is the longest time from the stream to the first acceptance.
func (b *books) latest(provider string) (longest time.Duration) {
	seen := map[int]bool{}
	for _, r := range b.accepted[provider] {
		number := numberOf(r.Token)
		if since := b.stored[number]; !seen[number] && len(since) > 0 {
			longest = max(longest, r.At.Sub(since[0]))
		}
		seen[number] = true
	}
	return longest
}

// open checks how many calls were open at once.
func (b *books) open(provider string, t *tally, found *complaints) {
	// CleverTap counts the account's calls; of Courier's only a pod's are bounded.
	held, raw := map[int][]span{}, map[int][]span{}
	for _, call := range b.calls {
		if call.provider != provider {
			continue
		}
		t.calls++
		place, limited := 0, provider == event.CleverTap
		if !limited {
			place = call.pod
		}
		end := call.end
		if end.IsZero() {
			end = b.ended
		}
		counted, overstayed := strict(call, b.freezes[call.pod], b.ended)
		if overstayed {
			t.overstayed++
		}
		held[place] = append(held[place], counted)
		raw[place] = append(raw[place], span{call.start, end})
	}
	limit := cleverTapCap
	if provider == event.Courier {
		limit = courierCalls
	}
	for place, spans := range held {
		most, when := peak(spans)
		if most > limit {
			found.add(fmt.Sprintf("%s: %d calls open at once, more than %d", provider, most, limit), fmt.Sprintf("%.3f", when.Sub(b.began).Seconds()))
		}
		rawMost, _ := peak(raw[place])
		t.peak, t.rawPeak = max(t.peak, most), max(t.rawPeak, rawMost)
	}
}

// complaints gathers what is wrong, by what, with examples.
type complaints struct {
	counts   map[string]int
	examples map[string][]string
}

// mostExamples of one thing are shown.
const mostExamples = 10

func (c *complaints) add(what string, example any) {
	if c.counts == nil {
		c.counts, c.examples = map[string]int{}, map[string][]string{}
	}
	c.counts[what]++
	if len(c.examples[what]) < mostExamples {
		c.examples[what] = append(c.examples[what], fmt.Sprint(example))
	}
}

func (c *complaints) list() (lines []string) {
	for _, what := range slices.SortedFunc(maps.Keys(c.counts), func(a, b string) int {
		return cmp.Or(c.counts[b]-c.counts[a], cmp.Compare(a, b))
	}) {
		lines = append(lines, fmt.Sprintf("%s: %d, such as %v", what, c.counts[what], c.examples[what]))
	}
	return lines
}
