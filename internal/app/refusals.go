package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// endsQuestions says whether a question to JetStream may be the one that was
// refused: a request to its API, or the inbox for the answers.
func endsQuestions(r rights.Right) bool {
	return strings.HasPrefix(r.Subject, "_INBOX.") ||
		strings.HasPrefix(r.Subject, "$JS.API.") && !strings.HasPrefix(r.Subject, "$JS.API.CONSUMER.MSG.NEXT.")
}

// Pauses between two lines about the same: what is refused is refused again at
// every try.
const (
	firstReminder   = 5 * time.Second
	longestReminder = time.Minute
)

// refusals hears which rights the broker refuses to a connection. A refused
// request is never answered, and the refusal does not say whose it was: so it
// ends all questions that are open, which then have a cause, not a time-out.
type refusals struct {
	log *slog.Logger

	mu        sync.Mutex
	questions map[*question]struct{}
	reminders map[string]reminder // by what is refused
	deaf      *rights.Refusal     // of the inbox: said once a connection, and then no answer comes any more
	inbox     *nats.Conn          // whose it is
}

type question struct{ end context.CancelCauseFunc }

type reminder struct {
	next  time.Time
	pause time.Duration
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, questions: map[*question]struct{}{}, reminders: map[string]reminder{}}
}

// option lets a new connection be heard.
func (r *refusals) option() nats.Option {
	return nats.ErrorHandler(func(conn *nats.Conn, _ *nats.Subscription, err error) { r.hear(conn, err) })
}

// hear takes an error that a connection was told of. It reports whether the
// error was about a right, or about the user; who asks is told then, or the log,
// ever less often.
func (r *refusals) hear(conn *nats.Conn, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if config.RefusesUser(err) {
		if r.due("the user") {
			r.log.Warn("NATS refuses the user; the client tries again, with what the files of its credentials say then", "err", err)
		}
		return true
	}
	refused := rights.RefusalOf(err)
	if refused == nil {
		return false
	}
	if strings.HasPrefix(refused.Subject, "_INBOX.") {
		r.deaf, r.inbox = refused, conn
	}
	if endsQuestions(refused.Right) && len(r.questions) > 0 {
		for q := range r.questions {
			q.end(refused)
		}
		return true
	}
	if r.due(refused.String()) {
		r.log.Warn("NATS refuses", "err", refused)
	}
	return true
}

// due reports whether it is time for a line about a refusal; the caller holds
// the lock.
func (r *refusals) due(what string) bool {
	last, now := r.reminders[what], time.Now()
	if !now.After(last.next) {
		return false
	}
	pause := max(firstReminder, min(2*last.pause, longestReminder))
	r.reminders[what] = reminder{now.Add(pause), pause}
	return true
}

// during is a context for questions to JetStream. It ends when a right that
// they need is refused; the refusal is then its cause.
func (r *refusals) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	q := &question{end}
	r.mu.Lock()
	r.questions[q] = struct{}{}
	r.mu.Unlock()
	return ctx, func() {
		r.mu.Lock()
		delete(r.questions, q)
		r.mu.Unlock()
		end(nil)
	}
}

// ask asks JetStream and says, when no answer came, what would have to be
// granted or switched on.
func ask[T any](ctx context.Context, r *refusals, question func(context.Context) (T, error)) (T, error) {
	asking, end := r.during(ctx)
	defer end()
	if err := r.openEars(); err != nil {
		var none T
		return none, err
	}
	answer, err := question(asking)
	return answer, explain(asking, err)
}

// openEars makes a deaf connection anew: the server is then asked once more
// for the inbox.
func (r *refusals) openEars() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf == nil {
		return nil
	}
	r.deaf = nil
	return r.inbox.ForceReconnect()
}

// explain turns the error of a question into one that says what to do.
func explain(asking context.Context, err error) error {
	if refused, ok := errors.AsType[*rights.Refusal](context.Cause(asking)); ok && err != nil {
		return refused
	}
	return rights.Explain(err)
}
