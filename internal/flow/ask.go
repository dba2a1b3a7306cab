package flow

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// askTimeout bounds one round of questions.
const askTimeout = 5 * time.Second

// answer is what the broker said last of one provider.
type answer struct {
	known   bool // a consumer was there
	waiting uint64
	oldest  time.Time // when it was stored; zero when none waits
	letters uint64
	at      time.Time // ours, of the answer
}

// show writes the answer into p. While the broker is away no age grows: what
// was the oldest may be gone.
func (a answer) show(now time.Time, away bool, p *Provider) {
	p.Known, p.Waiting, p.Letters = a.known, a.waiting, a.letters
	if away {
		now = a.at
	}
	if !a.oldest.IsZero() {
		p.Oldest = max(0, now.Sub(a.oldest)) // the server's clock may be ahead of ours
	}
}

// ask asks the broker every round, as long as it can be asked.
func (w *Watch) ask(ctx context.Context) {
	round := time.NewTicker(w.Every)
	defer round.Stop()
	for {
		if w.JS.Conn().IsConnected() {
			w.askOnce(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-round.C:
		}
	}
}

func (w *Watch) askOnce(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	refused := ""
	for _, provider := range event.Providers() {
		a, err := w.answerOf(bounded, provider)
		if err != nil {
			refused = plain(err)
			break
		}
		w.mu.Lock()
		w.answers[provider] = a
		w.mu.Unlock()
	}
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	w.refused = refused
	w.mu.Unlock()
	w.tell()
}

// answerOf has what is there; what is missing counts as nothing.
func (w *Watch) answerOf(ctx context.Context, provider string) (answer, error) {
	a := answer{at: time.Now()}
	backlog, err := consumer.Pending(ctx, w.JS, provider)
	switch {
	case err == nil:
		a.known, a.waiting, a.oldest = true, uint64(backlog.Pending), backlog.Oldest
	case !isMissing(err):
		return answer{}, err
	}
	if a.letters, err = dlq.Count(ctx, w.JS, provider); err != nil && !isMissing(err) {
		return answer{}, err
	}
	return a, nil
}

func isMissing(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound)
}

// plain is one line for a person.
func plain(err error) string {
	if consumer.Transient(err) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) { // which is what the client makes of no answer
		return "JetStream does not answer: it is off or without a leader, or this user may not ask"
	}
	return err.Error()
}
