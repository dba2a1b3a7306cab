package e2e_test

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// put publishes with a plain client and waits for the stream's word.
func (w *world) put(bodies ...string) {
	w.t.Helper()
	w.putTo(consumer.EventsSubject, bodies...)
}

func (w *world) putTo(subject string, bodies ...string) {
	w.t.Helper()
	var acks []jetstream.PubAckFuture
	for _, body := range bodies {
		ack, err := w.broker.JS.PublishAsync(subject, []byte(body), jetstream.WithStallWait(patience))
		if err != nil {
			w.t.Fatalf("publish: %v", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case stored := <-ack.Ok():
			w.last[subject] = max(w.last[subject], stored.Sequence)
		case err := <-ack.Err():
			w.t.Fatalf("publish: %v", err)
		}
	}
}

// putMsg publishes one message with headers and returns its place.
func (w *world) putMsg(subject, body string, header nats.Header) uint64 {
	w.t.Helper()
	message := nats.NewMsg(subject)
	message.Data = []byte(body)
	if header != nil {
		message.Header = header
	}
	ack, err := w.broker.JS.PublishMsg(w.t.Context(), message)
	if err != nil {
		w.t.Fatalf("publish: %v", err)
	}
	w.last[subject] = max(w.last[subject], ack.Sequence)
	return ack.Sequence
}

// registration is an event for both providers; its token is token(i).
func registration(i int) string {
	return registrationOf(token(i))
}

func registrationOf(token string) string {
	return fmt.Sprintf(`{"user_id":"user-%[1]s","object_id":"object-%[1]s","token":"%[1]s","type":"fcm"}`, token)
}

func token(i int) string { return fmt.Sprintf("token-%05d", i) }

// registrations are the events from first on.
func registrations(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = registration(first + i)
	}
	return list
}

// accepted counts how often a provider took each token.
func (w *world) accepted(provider string) map[string]int {
	counts := map[string]int{}
	for _, record := range w.fake(provider).Accepted(provider) {
		counts[record.Token]++
	}
	return counts
}

// delivered checks that a provider took exactly these tokens, once each.
func (w *world) delivered(provider string, tokens ...string) {
	w.t.Helper()
	counts := w.accepted(provider)
	for _, token := range tokens {
		if counts[token] != 1 {
			w.t.Errorf("%s took %q %d times, want once", provider, token, counts[token])
		}
		delete(counts, token)
	}
	for token := range counts {
		w.t.Errorf("%s took %q, which it should not have", provider, token)
	}
}

// reached checks that a provider took each of these tokens, more than once
// where a call was cut off.
func (w *world) reached(provider string, tokens ...string) {
	w.t.Helper()
	counts := w.accepted(provider)
	missing := 0
	for _, token := range tokens {
		if counts[token] == 0 {
			missing++
		}
	}
	if missing > 0 {
		w.t.Errorf("%s never took %d of %d tokens", provider, missing, len(tokens))
	}
}

func tokens(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = token(first + i)
	}
	return list
}
