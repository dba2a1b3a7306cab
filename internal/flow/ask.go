package flow

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// askTimeout bounds one round of questions.
const askTimeout = 5 * time.Second

// What the broker is asked, each for itself: a user may have the right to one
// alone, and what is not allowed is never answered.
const (
	ofBacklog = iota
	ofLetters
	questions
)

// answer is what the broker said last of what waits for one provider.
type answer struct {
	known   bool // a consumer was there
	served  bool
	waiting uint64
	oldest  time.Time // when it was stored; zero when none waits
	paused  time.Time // until then, by our clock; zero: not
	at      time.Time // ours, of the answer
}

// show writes the answer into p. Since it was given the oldest has waited on
// and a pause may have ended, whether or not the broker is still there.
func (a answer) show(now time.Time, p *Provider) {
	p.Known, p.Served, p.Waiting = a.known, a.served, a.waiting
	if !a.oldest.IsZero() {
		p.Oldest = max(0, a.at.Sub(a.oldest)) + max(0, now.Sub(a.at)) // the server's clock may be ahead of ours
	}
	if a.paused.After(now) {
		p.PausedUntil = a.paused
	}
}

// ask asks the broker a question of every provider, each round, as long as it
// can be asked.
func (w *Watch) ask(ctx context.Context, which int, question func(context.Context, string) error) {
	round := time.NewTicker(w.Every)
	defer round.Stop()
	for {
		if w.JS.Conn().IsConnected() {
			w.askOnce(ctx, which, question)
		}
		select {
		case <-ctx.Done():
			return
		case <-round.C:
		}
	}
}

func (w *Watch) askOnce(ctx context.Context, which int, question func(context.Context, string) error) {
	bounded, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	refused := ""
	for _, provider := range event.Providers() {
		if err := question(bounded, provider); err != nil {
			refused = plain(err)
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	w.refused[which] = refused
	w.mu.Unlock()
	w.tell()
}

// askBacklog takes over what waits; without a stream or a consumer that is
// unknown.
func (w *Watch) askBacklog(ctx context.Context, provider string) error {
	backlog, err := consumer.Pending(ctx, w.JS, provider)
	if err != nil && !isMissing(err) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive = true
	w.answers[provider] = answer{known: err == nil, served: backlog.Served, waiting: uint64(backlog.Pending), oldest: backlog.Oldest, paused: backlog.PausedUntil, at: time.Now()}
	return nil
}

// askLetters takes over how many letters there are: none without a stream.
func (w *Watch) askLetters(ctx context.Context, provider string) error {
	letters, err := dlq.Count(ctx, w.JS, provider)
	if err != nil && !isMissing(err) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive = true
	w.letters[provider] = letters
	return nil
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

// lost is why there is no connection, one line for a person; empty: there is one.
func lost(nc *nats.Conn) string {
	switch {
	case nc.IsConnected():
		return ""
	case refusesLogin(nc.LastError()):
		return "NATS refuses the credentials; the connection is tried again with them"
	}
	return "NATS is away; the connection is being made again"
}

// refusesLogin knows a refusal by the words of the protocol too: at a
// reconnect the client keeps the server's own error, not its sentinel.
func refusesLogin(err error) bool {
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	if err == nil {
		return false
	}
	said := strings.TrimPrefix(strings.ToLower(err.Error()), "nats: ")
	for _, refusal := range []string{nats.AUTHORIZATION_ERR, nats.AUTHENTICATION_EXPIRED_ERR, nats.AUTHENTICATION_REVOKED_ERR, nats.ACCOUNT_AUTHENTICATION_EXPIRED_ERR} {
		if strings.HasPrefix(said, refusal) {
			return true
		}
	}
	return false
}
