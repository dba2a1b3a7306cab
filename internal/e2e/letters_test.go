package e2e_test

import (
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// letter is a dead-lettered message as the stream has it.
type letter struct {
	provider, code string // of its subject
	header         nats.Header
	body           string
}

func (l letter) reason() string { return l.header.Get("Dlq-Reason") }

// letters reads the dead-letter stream, oldest first; of one provider, or of
// all when it is empty.
func (w *world) letters(provider string) []letter {
	w.t.Helper()
	stream, err := w.broker.JS.Stream(w.t.Context(), consumer.LettersStream)
	if err != nil {
		w.t.Fatalf("letters: %v", err)
	}
	var list []letter
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && seq > 0; seq++ {
		message, err := stream.GetMsg(w.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatalf("letter %d: %v", seq, err)
		}
		parts := strings.Split(message.Subject, ".")
		if len(parts) != 4 {
			w.t.Fatalf("letter %d has subject %q", seq, message.Subject)
		}
		if provider == "" || parts[2] == provider {
			list = append(list, letter{parts[2], parts[3], message.Header, string(message.Data)})
		}
	}
	return list
}

// noLetters checks that nothing died.
func (w *world) noLetters() {
	w.t.Helper()
	for _, l := range w.letters("") {
		w.t.Errorf("a letter: %s %s: %s", l.provider, l.code, l.reason())
	}
}

// byToken finds the letters of the events with a token.
func byToken(letters []letter, token string) []letter {
	var found []letter
	for _, l := range letters {
		if strings.Contains(l.body, `"token":"`+token+`"`) {
			found = append(found, l)
		}
	}
	return found
}
