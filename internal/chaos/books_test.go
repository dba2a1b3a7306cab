package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

const events = 300

// numberWhere is the first event that must end so at a provider.
func numberWhere(t *testing.T, provider string, is func(fate) bool) int {
	t.Helper()
	for number := range events {
		if is(fateOf(number, provider)) {
			return number
		}
	}
	t.Fatalf("none of %d events ends so at %s", events, provider)
	return 0
}

func delivered(f fate) bool { return f.addressed && f.code == "" }
func dead(f fate) bool      { return f.addressed && f.code != "" }
func skipped(f fate) bool   { return !f.addressed }

// goodBooks are those of a run in which all went well.
func goodBooks() *books {
	b := &books{
		traffic: traffic{sent: events, confirmed: map[int]bool{}}, stored: map[int][]time.Time{},
		accepted: map[string][]sandbox.Record{}, refused: map[string][]sandbox.Record{},
		freezes: make([][]freeze, 4), began: second(0), ended: second(60),
	}
	for number := range events {
		b.traffic.confirmed[number], b.stored[number] = true, []time.Time{second(float64(number) / 10)}
		for _, provider := range event.Providers() {
			record := sandbox.Record{Token: makeEvent(number).Token, At: second(float64(number) / 10)}
			switch f := fateOf(number, provider); {
			case dead(f):
				b.refused[provider] = append(b.refused[provider], record)
				b.letters = append(b.letters, deadLetter{provider, f.code, number})
			case delivered(f):
				b.accepted[provider] = append(b.accepted[provider], record)
			}
		}
	}
	for i := range 30 {
		at := float64(i)
		b.calls = append(b.calls, seenCall{event.CleverTap, i % 4, second(at), second(at + 2.9), false})
	}
	return b
}

func TestGoodBooks(t *testing.T) {
	t.Parallel()
	b := goodBooks()
	problems, tallies := b.audit()
	if len(problems) > 0 {
		t.Fatalf("found wrong: %q", problems)
	}
	c := tallies[event.CleverTap]
	if c.peak != 3 || c.calls != 30 || c.repeats != 0 || c.letters != c.refused || c.accepted+c.refused != events*9/10 || c.letters == 0 {
		t.Errorf("summed up as %+v", c)
	}
}

func TestRepeatsAreCountedAndNotWrong(t *testing.T) {
	t.Parallel()
	b := goodBooks()
	b.accepted[event.Courier] = append(b.accepted[event.Courier], b.accepted[event.Courier][0])
	problems, tallies := b.audit()
	if len(problems) > 0 || tallies[event.Courier].repeats != 1 {
		t.Errorf("%d repeats and %q, want 1 and nothing", tallies[event.Courier].repeats, problems)
	}
}

func TestWrongBooks(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(*testing.T, *books)
		want  string
	}{
		"lost at a provider": {func(t *testing.T, b *books) {
			token := makeEvent(numberWhere(t, event.CleverTap, delivered)).Token
			b.accepted[event.CleverTap] = slices.DeleteFunc(b.accepted[event.CleverTap], func(r sandbox.Record) bool { return r.Token == token })
		}, "clevertap: lost"},
		"lost letter": {func(_ *testing.T, b *books) { b.letters = b.letters[1:] }, "lost, neither accepted nor a letter"},
		"second letter": {func(_ *testing.T, b *books) {
			b.letters = append(b.letters, b.letters[0])
		}, "two letters"},
		"letter of an accepted one": {func(t *testing.T, b *books) {
			b.letters = append(b.letters, deadLetter{event.Courier, "http_503", numberWhere(t, event.Courier, delivered)})
		}, "courier: two outcomes, accepted and a letter http_503"},
		"letter of what the provider takes": {func(t *testing.T, b *books) {
			number := numberWhere(t, event.Courier, delivered)
			b.accepted[event.Courier] = slices.DeleteFunc(b.accepted[event.Courier], func(r sandbox.Record) bool { return numberOf(r.Token) == number })
			b.letters = append(b.letters, deadLetter{event.Courier, "unavailable", number})
		}, "courier: a letter unavailable of a record that the provider takes"},
		"letter with another code": {func(_ *testing.T, b *books) { b.letters[0].code = "other" }, "a letter other that must say"},
		"at the wrong provider": {func(t *testing.T, b *books) {
			record := sandbox.Record{Token: makeEvent(numberWhere(t, event.Courier, skipped)).Token}
			b.accepted[event.Courier] = append(b.accepted[event.Courier], record)
		}, "courier: an event for the other provider came here"},
		"confirmed and not stored": {func(_ *testing.T, b *books) { delete(b.stored, 5) }, "confirmed, but not in the stream"},
		"out of nowhere": {func(_ *testing.T, b *books) {
			b.accepted[event.Courier] = append(b.accepted[event.Courier], sandbox.Record{Token: "token-999999"})
		}, "courier: came out, but is not in the stream"},
		"stored twice":  {func(_ *testing.T, b *books) { b.stored[7] = append(b.stored[7], second(1)) }, "stored more than once: 1, such as [7]"},
		"not published": {func(_ *testing.T, b *books) { b.stored[-1] = []time.Time{second(1)} }, "in the stream, but never published"},
		"twice without a fault": {func(_ *testing.T, b *books) {
			b.calm, b.accepted[event.Courier] = true, append(b.accepted[event.Courier], b.accepted[event.Courier][0])
		}, "courier: without a fault events came twice, or late: 1, such as [1 repeats, the latest after 0s]"},
		"late without a fault": {func(_ *testing.T, b *books) {
			b.calm = true
			b.accepted[event.Courier][5].At = b.accepted[event.Courier][5].At.Add(time.Minute)
		}, "[0 repeats, the latest after 1m0s]"},
		"pending": {func(_ *testing.T, b *books) { b.pending = "courier: 3 not delivered" }, "still pending at the end"},
		"over the cap": {func(_ *testing.T, b *books) {
			b.calls = append(b.calls, seenCall{event.CleverTap, 3, second(10.1), second(10.2), false})
		}, "clevertap: 4 calls open at once, more than 3"},
		"over a pod's bound": {func(_ *testing.T, b *books) {
			for range courierCalls + 1 {
				b.calls = append(b.calls, seenCall{event.Courier, 1, second(10), second(10.5), false})
			}
		}, "courier: 17 calls open at once, more than 16"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := goodBooks()
			c.spoil(t, b)
			problems, _ := b.audit()
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("found %q, want %q", problems, c.want)
			}
		})
	}
}

// An event without the broker's ack may be in the stream or not; when it is it
// counts like any other.
func TestUnconfirmedEvents(t *testing.T) {
	t.Parallel()
	b := goodBooks()
	delete(b.traffic.confirmed, 11)
	if problems, _ := b.audit(); len(problems) > 0 {
		t.Errorf("stored and delivered: %q", problems)
	}
}

func TestTokensCarryNumbers(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]int{"token-0": 0, "token-17": 17, "token-": -1, "token-x": -1, "token--1": -1, "token-017": -1, "17": -1} {
		if got := numberOf(token); got != want {
			t.Errorf("%q is %d, want %d", token, got, want)
		}
	}
}

// Every event must be what the publisher takes.
func TestEventsAreValid(t *testing.T) {
	t.Parallel()
	fates := map[string]int{}
	for number := range 1000 {
		e := makeEvent(number)
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, provider := range event.Providers() {
			fates[fmt.Sprint(provider, fateOf(number, provider))]++
		}
	}
	if len(fates) != 6 {
		t.Errorf("fates of 1000 events: %v, want three at each provider", slices.Sorted(maps.Keys(fates)))
	}
}
