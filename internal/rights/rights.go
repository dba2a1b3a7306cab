// Package rights reads what a NATS server says when it does not let us have
// something, and says it so that who runs that server can act on it.
//
// It knows the words of refusals and the shapes of subjects; which rights
// somebody needs, and what a missing one ends, it refuses to know. It owns no
// goroutines.
package rights

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Right is one thing that a broker lets a user do.
type Right struct {
	Verb    string // publish or subscribe
	Subject string // a wildcard where the rest differs each time
}

func (r Right) String() string { return r.Verb + " to " + r.Subject }

// Refusal is the broker's word that our user lacks a right.
type Refusal struct {
	Right
	err error
}

func (r *Refusal) Error() string {
	return "the NATS user may not " + r.String() + ": grant it that right (docs/operations.md, \"The broker's rights\")"
}

func (r *Refusal) Unwrap() error { return r.err }

// RefusalOf reads what a connection was told of; nil when it is no refusal.
func RefusalOf(err error) *Refusal {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	verb, text := "publish", err.Error()
	if strings.Contains(text, "for Subscription") {
		verb = "subscribe"
	}
	_, text, _ = strings.Cut(text, `"`)
	subject, _, _ := strings.Cut(text, `"`)
	return &Refusal{Right{verb, Subject(subject)}, err}
}

// Subject is a subject as one would write it into a user's rights: names that
// are made up each time, and numbers of messages, are left out.
func Subject(subject string) string {
	tokens := strings.Split(subject, ".")
	keep := len(tokens)
	switch {
	case strings.HasPrefix(subject, "_INBOX."):
		keep = 1
	case strings.HasPrefix(subject, "$KV."), strings.HasPrefix(subject, "tokens.dlq."):
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

// Explain turns the error of a question to JetStream into one that says what to
// do, where JetStream is switched off; others come back as they are.
func Explain(err error) error {
	api, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case errors.Is(err, nats.ErrNoResponders), answered && api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled:
		return fmt.Errorf("nobody answers for JetStream: is it enabled on the NATS server (jetstream {…} in its configuration, or -js)? %w", err)
	case answered && api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return fmt.Errorf("JetStream is not enabled for the account of this NATS user: enable it there, or look at NATS_USER, NATS_CREDS and NATS_NKEY_FILE: %w", err)
	}
	return err
}
