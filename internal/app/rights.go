package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// right is one thing that a broker lets a user do.
type right struct {
	verb    string // publish or subscribe
	subject string // a wildcard where the rest differs each time
}

func (r right) String() string { return r.verb + " to " + r.subject }

// refusal is the broker's word that our user lacks a right.
type refusal struct {
	right
	err error
}

func (r *refusal) Error() string {
	return "the NATS user may not " + r.String() + ": grant it that right (docs/operations.md, \"The broker's rights\")"
}

func (r *refusal) Unwrap() error { return r.err }

// refusalOf reads what a connection was told of; nil when it is no refusal.
func refusalOf(err error) *refusal {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	verb, text := "publish", err.Error()
	if strings.Contains(text, "for Subscription") {
		verb = "subscribe"
	}
	_, text, _ = strings.Cut(text, `"`)
	subject, _, _ := strings.Cut(text, `"`)
	return &refusal{right{verb, rightSubject(subject)}, err}
}

// rightSubject is the subject as one would write it into a user's rights:
// names that are made up each time, and numbers of messages, are left out.
func rightSubject(subject string) string {
	tokens := strings.Split(subject, ".")
	keep := len(tokens)
	switch {
	case strings.HasPrefix(subject, "_INBOX."):
		keep = 1
	case strings.HasPrefix(subject, "$KV."), strings.HasPrefix(subject, consumer.LettersSubject+"."):
		keep = 2
	case strings.HasPrefix(subject, "$JS.ACK."), strings.HasPrefix(subject, "$JS.FC."):
		keep = 3
	case strings.HasPrefix(subject, "$JS.API."):
		if keep = 5; len(tokens) > 3 && tokens[3] == "MSG" {
			keep = 6
		}
	}
	if keep >= len(tokens) {
		return subject
	}
	return strings.Join(tokens[:keep], ".") + ".>"
}

// endsQuestions says whether a question to JetStream may be the one that was
// refused: a request to its API, or the inbox for the answers.
func (r right) endsQuestions() bool {
	return strings.HasPrefix(r.subject, "_INBOX.") ||
		strings.HasPrefix(r.subject, "$JS.API.") && !strings.HasPrefix(r.subject, "$JS.API.CONSUMER.MSG.NEXT.")
}

// Pauses between two lines about the same right: a refused publish is refused
// again at every try.
const (
	firstReminder   = 5 * time.Second
	longestReminder = time.Minute
)

// rights hears which rights the broker refuses to a connection. A refused
// request is never answered, and the refusal does not say whose it was: so it
// ends all questions that are open, which then have a cause, not a time-out.
type rights struct {
	log *slog.Logger

	mu        sync.Mutex
	questions map[*question]struct{}
	reminders map[right]reminder
	deaf      *refusal   // of the inbox: said once a connection, and then no answer comes any more
	inbox     *nats.Conn // whose it is
}

type question struct{ end context.CancelCauseFunc }

type reminder struct {
	next  time.Time
	pause time.Duration
}

func newRights(log *slog.Logger) *rights {
	return &rights{log: log, questions: map[*question]struct{}{}, reminders: map[right]reminder{}}
}

// option lets a new connection be heard.
func (r *rights) option() nats.Option {
	return nats.ErrorHandler(func(conn *nats.Conn, _ *nats.Subscription, err error) { r.hear(conn, err) })
}

// hear takes an error that a connection was told of. It reports whether the
// error was about a right; who asks is told then, or the log, ever less often.
func (r *rights) hear(conn *nats.Conn, err error) bool {
	refused := refusalOf(err)
	if refused == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.HasPrefix(refused.subject, "_INBOX.") {
		r.deaf, r.inbox = refused, conn
	}
	if refused.endsQuestions() && len(r.questions) > 0 {
		for q := range r.questions {
			q.end(refused)
		}
		return true
	}
	if now := time.Now(); now.After(r.reminders[refused.right].next) {
		pause := max(firstReminder, min(2*r.reminders[refused.right].pause, longestReminder))
		r.reminders[refused.right] = reminder{now.Add(pause), pause}
		r.log.Warn("NATS refuses", "err", refused)
	}
	return true
}

// during is a context for questions to JetStream. It ends when a right that
// they need is refused; the refusal is then its cause.
func (r *rights) during(ctx context.Context) (context.Context, context.CancelFunc) {
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
func ask[T any](ctx context.Context, r *rights, question func(context.Context) (T, error)) (T, error) {
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
func (r *rights) openEars() error {
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
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*refusal](context.Cause(asking)); ok {
		return refused
	}
	api, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case errors.Is(err, nats.ErrNoResponders), answered && api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled:
		return fmt.Errorf("nobody answers for JetStream: is it enabled on the NATS server (jetstream {…} in its configuration, or -js)? %w", err)
	case answered && api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return fmt.Errorf("JetStream is not enabled for the account of this NATS user: enable it there, or look at NATS_USER, NATS_CREDS and NATS_NKEY_FILE: %w", err)
	}
	return err
}
