package e2e_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// While a letter cannot be stored its event is not acknowledged; afterwards
// the letter is there, once.
func TestLetterBeforeAck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		away func(*world)
		back func(*world)
	}{
		{"the stream is full", func(w *world) { w.limitLetters(1) }, func(w *world) { w.limitLetters(-1) }},
		{"the stream is gone", func(w *world) { w.deleteLetters() }, func(w *world) { w.ensure() }},
		{"the stream is sealed", func(w *world) { w.sealLetters() }, func(w *world) { w.deleteLetters(); w.ensure() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=clevertap", "NATS_PROVISION=false")
			w.ensure()
			w.fault(event.CleverTap, sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "531"})
			p := w.start()
			w.put("the first letter")
			eventually(t, "the first letter is stored", func() bool { return len(w.letters("")) == 1 })
			w.settled(event.CleverTap)
			c.away(w)
			w.put(registration(1), registrationOf("bad-1"), registration(2), "not json")
			eventually(t, "letters are refused", func() bool {
				return p.metrics().of(t, "letter_put_failures_total", event.CleverTap) >= 3
			})
			eventually(t, "the others are delivered", func() bool { return w.report(event.CleverTap).Accepted == 2 })
			eventually(t, "the two wait", func() bool { return w.consumer(event.CleverTap).NumAckPending == 2 })
			if dead := p.metrics().of(t, "events_total", event.CleverTap, `outcome="dead"`); dead != 1 {
				t.Errorf("%v events counted as dead without a letter", dead-1)
			}
			before := p.metrics().of(t, "letter_put_failures_total", event.CleverTap)
			eventually(t, "failures are counted on", func() bool {
				return p.metrics().of(t, "letter_put_failures_total", event.CleverTap) > before
			})

			c.back(w)
			w.settled(event.CleverTap)
			codes := map[string]int{}
			for _, l := range w.letters("") {
				codes[l.code+" "+l.body]++
			}
			if codes["531 "+registrationOf("bad-1")] != 1 || codes["invalid_event not json"] != 1 {
				t.Errorf("letters %v, want both once", codes)
			}
			w.delivered(event.CleverTap, token(1), token(2))
			if calls := w.report(event.CleverTap); calls.Refused["531"] != 1 {
				t.Errorf("the dead record was sent %d times, want once", calls.Refused["531"])
			}
		})
	}
}

func (w *world) lettersStream() jetstream.StreamConfig {
	w.t.Helper()
	stream, err := w.broker.JS.Stream(w.t.Context(), consumer.LettersStream)
	if err != nil {
		w.t.Fatalf("letters: %v", err)
	}
	return stream.CachedInfo().Config
}

func (w *world) changeLetters(config jetstream.StreamConfig) {
	w.t.Helper()
	if _, err := w.broker.JS.UpdateStream(w.t.Context(), config); err != nil {
		w.t.Fatalf("letters: %v", err)
	}
}

func (w *world) limitLetters(messages int64) {
	config := w.lettersStream()
	config.MaxMsgs = messages
	w.changeLetters(config)
}

func (w *world) sealLetters() {
	config := w.lettersStream()
	config.Sealed = true
	w.changeLetters(config)
}

func (w *world) deleteLetters() {
	if err := w.broker.JS.DeleteStream(w.t.Context(), consumer.LettersStream); err != nil {
		w.t.Fatalf("letters: %v", err)
	}
}

// A dead-letter stream that vanishes under way is made again for the next
// letter, where the worker may.
func TestLettersStreamIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.put(registration(1))
	w.settled()
	w.deleteLetters()
	w.put("not json", registration(2))
	w.settled()
	if letters := w.letters(""); len(letters) != 2 {
		t.Errorf("%d letters, want one of each provider", len(letters))
	}
	w.delivered(event.CleverTap, token(1), token(2))
}
