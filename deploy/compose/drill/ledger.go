package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenrelay/tokenrelay/event"
)

// ledger is what went in and what came out, event by event: the stream's events,
// the records that the sandbox accepted, the letters.
type ledger struct {
	events   map[uint64]stored              // by their place in the stream
	accepted map[string]map[record]int      // by provider: how often
	letters  map[string]map[uint64][]string // by provider and the event's place: codes
}

// record is what a provider knows an event by.
type record struct{ identity, token string }

// stored is an event in the stream, and what must become of it.
type stored struct {
	token string
	fates map[string]fate
}

// fate is what must become of an event at a provider.
type fate struct {
	kind   kind
	record record // of an event that is for it
}

type kind int

const (
	skipped   kind = iota // not for this provider
	invalid               // a letter invalid_event
	addressed             // accepted, or a letter
)

func newLedger() *ledger {
	l := &ledger{events: map[uint64]stored{}, accepted: map[string]map[record]int{}, letters: map[string]map[uint64][]string{}}
	for _, provider := range event.Providers() {
		l.accepted[provider], l.letters[provider] = map[record]int{}, map[uint64][]string{}
	}
	return l
}

// enter notes a message of the event stream.
func (l *ledger) enter(place uint64, body []byte) {
	e := stored{fates: map[string]fate{}}
	ev, err := event.Decode(body)
	if err == nil {
		e.token = ev.Token
	}
	for _, provider := range event.Providers() {
		if err != nil {
			e.fates[provider] = fate{kind: invalid}
			continue
		}
		identity := ev.ObjectID
		if provider == event.Courier {
			identity = ev.UserID
		}
		switch route, wrong := ev.Route(provider); {
		case wrong != nil:
			e.fates[provider] = fate{kind: invalid}
		case route == event.Skip:
			e.fates[provider] = fate{kind: skipped}
		default:
			e.fates[provider] = fate{addressed, record{identity, ev.Token}}
		}
	}
	l.events[place] = e
}

// sums are the figures of one provider.
type sums struct{ delivered, dead, skipped, repeated int }

// audit finds everything that is wrong with the events up to a place in the
// stream, all of which are settled, and with those that were confirmed to their
// publisher; and adds them up.
func (l *ledger) audit(upTo uint64, confirmed []string) (map[string]sums, []string) {
	found := complaints{}
	times := map[string]int{}
	for _, e := range l.events {
		times[e.token]++
	}
	for _, token := range confirmed {
		if n := times[token]; n != 1 {
			found.add(fmt.Sprintf("confirmed, and %d times in the stream", n), token)
		}
	}
	all := map[string]sums{}
	for _, provider := range event.Providers() {
		all[provider] = l.outcomes(provider, upTo, found)
	}
	return all, found.list()
}

// outcomes checks that each event has the one outcome at a provider that it must
// have.
func (l *ledger) outcomes(provider string, upTo uint64, found complaints) (sum sums) {
	known := map[record]bool{}
	for place, e := range l.events {
		want := e.fates[provider]
		known[want.record] = true
		if place > upTo {
			continue
		}
		times, codes := l.accepted[provider][want.record], l.letters[provider][place]
		if want.kind != addressed {
			times = 0
		}
		add := func(what string) { found.add(provider+": "+what, place) }
		switch {
		case times > 0 && len(codes) > 0:
			add("accepted, and a letter " + codes[0])
		case len(codes) > 1:
			add("two letters")
		case want.kind == skipped && len(codes) > 0:
			add("a letter of an event that is not for it")
		case want.kind == invalid && !slices.Equal(codes, []string{"invalid_event"}):
			add(fmt.Sprintf("no valid event, and its letters are %q", codes))
		case want.kind == addressed && times+len(codes) == 0:
			add("lost: neither accepted nor a letter")
		}
		switch {
		case want.kind == skipped:
			sum.skipped++
		case len(codes) > 0:
			sum.dead++
		case times > 0:
			sum.delivered++
			sum.repeated += times - 1
		}
	}
	for r := range l.accepted[provider] {
		if !known[r] {
			found.add(provider+": accepted, and not in the stream", r.token)
		}
	}
	for place := range l.letters[provider] {
		if _, ok := l.events[place]; !ok {
			found.add(provider+": a letter of what is not in the stream", place)
		}
	}
	return sum
}

// complaints are examples of what is wrong, by what.
type complaints map[string][]string

func (c complaints) add(what string, example any) { c[what] = append(c[what], fmt.Sprint(example)) }

func (c complaints) list() []string {
	var lines []string
	for what, examples := range c {
		slices.Sort(examples)
		lines = append(lines, fmt.Sprintf("%s: %d, such as %s", what, len(examples), strings.Join(examples[:min(5, len(examples))], ", ")))
	}
	slices.Sort(lines)
	return lines
}
