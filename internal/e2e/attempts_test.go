package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// Two refusals by name may be over at the next call: CleverTap's 555 and
// Courier's conflict. They are believed the third time.
func TestDoubtfulRefusalIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ provider, code, letter string }{
		{event.CleverTap, "555", "555"},
		{event.Courier, "409", "http_409"},
	} {
		t.Run(c.provider+" for good", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+c.provider)
			w.fault(c.provider, sandbox.Rule{Provider: c.provider, Token: sandbox.Match{Is: "bad"}, Effect: sandbox.Refuse, Code: c.code})
			w.start()
			w.put(registration(1), registrationOf("bad"), registration(2))
			w.settled(c.provider)
			w.delivered(c.provider, token(1), token(2))
			letters := w.letters("")
			if len(letters) != 1 || letters[0].code != c.letter {
				t.Errorf("letters %+v, want one of %s", letters, c.letter)
			}
			if n := w.report(c.provider).Refused[c.code]; n != 3 {
				t.Errorf("the record was sent %d times, want 3", n)
			}
		})
		t.Run(c.provider+" for a while", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+c.provider)
			w.fault(c.provider, sandbox.Rule{Provider: c.provider, Token: sandbox.Match{Is: "bad"}, Effect: sandbox.Refuse, Code: c.code, Calls: 1})
			w.start()
			w.put(registration(1), registrationOf("bad"), registration(2))
			w.settled(c.provider)
			w.delivered(c.provider, token(1), token(2), "bad")
			w.noLetters()
		})
	}
}

// One record that is answered 500 while others are accepted is the record's
// fault, but only after MAX_ATTEMPTS rounds, and it holds nobody up.
func TestOneRecordFailsWhileOthersAreAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		provider string
		rule     sandbox.Rule
		code     string
	}{
		{event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: 500}, "http_500"},
		{event.Courier, sandbox.Rule{Effect: sandbox.Reset}, "unavailable"},
		{event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 500}, "http_500"},
	} {
		t.Run(c.provider+" "+c.code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "MAX_ATTEMPTS=2", "MAX_ATTEMPTS_AGE=1ms", "PROVIDERS="+c.provider)
			c.rule.Token = sandbox.Match{Is: "bad"}
			w.fault(c.provider, c.rule)
			p := w.start()
			w.put(registrationOf("bad"))
			published := w.trickle(func() bool { return len(w.letters("")) > 0 })
			w.settled(c.provider)
			w.delivered(c.provider, tokens(0, published)...)
			letters := w.letters("")
			if len(letters) != 1 || letters[0].code != c.code || len(byToken(letters, "bad")) != 1 {
				t.Errorf("letters %+v, want one of %s", letters, c.code)
			}
			if held := p.metrics().held(t, c.provider); held != "" {
				t.Error("the provider is held")
			}
		})
	}
}

// trickle publishes one good event after the other, each when the one before
// has arrived, until it is enough.
func (w *world) trickle(enough func() bool) (published int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !enough() {
		if ctx.Err() != nil {
			w.t.Fatalf("not enough after %d events in %s", published, patience)
		}
		w.put(registration(published))
		published++
		select {
		case <-time.After(20 * time.Millisecond): // a pace, not a wait for anything
		case <-ctx.Done():
		}
	}
	return published
}

// What was handed out more than twenty times is sent alone: it may be what
// kills the pods that hold it.
func TestMuchRedeliveredIsSentAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=clevertap", "CLEVERTAP_MAX_CONCURRENT=1")
	w.ensure()
	w.put(registration(0))
	handed, err := w.broker.JS.Consumer(t.Context(), consumer.EventsStream, event.CleverTap)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		batch, err := handed.Fetch(1, jetstream.FetchMaxWait(patience), jetstream.FetchPriorityGroup(consumer.SendersGroup))
		if err != nil {
			t.Fatal(err)
		}
		message, open := <-batch.Messages()
		if !open {
			t.Fatalf("delivery %d did not come: %v", n, batch.Error())
		}
		if err := message.Nak(); err != nil {
			t.Fatal(err)
		}
	}
	w.put(registrations(1, 9)...)
	p := w.start()
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, tokens(0, 10)...)
	w.noLetters()
	of := map[string]int{} // the call that each token was in
	inCall := map[int]int{}
	for _, record := range w.cleverTap.Accepted(event.CleverTap) {
		of[record.Token] = record.Call
		inCall[record.Call]++
	}
	if n := inCall[of[token(0)]]; n != 1 {
		t.Errorf("it was sent in a call of %d records", n)
	}
	if n := inCall[of[token(1)]]; n != 9 {
		t.Errorf("the others were sent in calls of %d records, want 9", n)
	}
	if n := p.metrics().of(t, "redeliveries_total", event.CleverTap); n != 1 {
		t.Errorf("redeliveries_total is %v, want 1", n)
	}
}
