package e2e_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

// The stream takes the subjects of every provider that there is, and no other.
func TestEveryProvidersSubjectIsRead(t *testing.T) {
	t.Parallel()
	want := []string{consumer.EventsSubject}
	for _, provider := range event.Providers() {
		want = append(want, consumer.ProviderSubject(provider))
	}
	if got := slices.Sorted(slices.Values(consumer.Subjects())); !slices.Equal(got, want) {
		t.Errorf("subjects %v, want %v", got, want)
	}
}

// A stream of an older version has events on a subject that nobody reads: they
// become letters, once, and the next such event is refused.
func TestEventsThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure()
	stream, err := w.broker.JS.Stream(t.Context(), consumer.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = []string{"tokens.registered", "tokens.registered.*"}
	if _, err := w.broker.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	w.putTo("tokens.registered.ios", registrations(0, 3)...)
	w.putTo("tokens.registered.android", registration(3))
	w.put(registration(4))

	p := w.start()
	for _, provider := range event.Providers() {
		eventually(t, "letters of "+provider, func() bool { return len(w.letters(provider)) == 4 })
	}
	w.settled()
	for _, l := range w.letters("") {
		if l.code != "invalid_event" || !strings.Contains(l.reason(), "is read by nobody") {
			t.Errorf("letter %s: %s", l.code, l.reason())
		}
	}
	for _, provider := range event.Providers() {
		w.delivered(provider, token(4))
		if n := p.metrics().of(t, "dead_events_total", provider, `code="invalid_event"`); n != 4 {
			t.Errorf("dead_events_total of %s is %v, want 4", provider, n)
		}
	}
	if _, err := w.broker.Conn.RequestWithContext(t.Context(), "tokens.registered.ios", []byte(registration(5))); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("one more is answered: %v", err)
	}

	// Letters that an operator has dealt with do not come back at the next start.
	letters, err := w.broker.JS.Stream(t.Context(), "TOKENS_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if err := letters.Purge(t.Context(), jetstream.WithPurgeSubject("tokens.dlq.>")); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.put(registration(6))
	w.settled()
	w.noLetters()
}
