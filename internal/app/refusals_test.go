package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// violation is what the client tells of a refusal.
func violation(what, subject string) error {
	return fmt.Errorf("%w: Permissions Violation for %s to %q", nats.ErrPermissionViolation, what, subject)
}

// A refusal ends the questions that may have met it, and they say so.
func TestRefusalEndsTheQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		heard error
		ended bool
	}{
		"the API":  {violation("Publish", "$JS.API.STREAM.INFO.TOKENS"), true},
		"a pull":   {violation("Publish", "$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier"), false},
		"a letter": {violation("Publish", "tokens.dlq.courier.530"), false},
		"a reply":  {violation("Subscription", "_INBOX.x.*"), true},
		"no right": {nats.ErrSlowConsumer, false},
		"advisory": {violation("Subscription", "$JS.EVENT.ADVISORY.STREAM.*.TOKENS"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRefusals(slog.New(slog.DiscardHandler))
				_, err := ask(t.Context(), r, func(ctx context.Context) (int, error) {
					go r.hear(nil, c.heard)
					select {
					case <-ctx.Done():
					case <-time.After(time.Hour):
					}
					return 0, context.DeadlineExceeded // all that a client can tell
				})
				_, refused := errors.AsType[*rights.Refusal](err)
				if refused != c.ended {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// lineCounter counts the lines of a log.
type lineCounter struct{ lines int }

func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines++
	return len(p), nil
}

// Each of an hour's refusals, one a second, is no line of its own.
func TestRemindersGrowRare(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]func(i int) error{
		"a right":  func(i int) error { return violation("Publish", fmt.Sprintf("$JS.ACK.TOKENS.courier.1.%d.1.1.0", i)) },
		"the user": func(int) error { return nats.ErrAuthorization },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var count lineCounter
				r := newRefusals(slog.New(slog.NewTextHandler(&count, nil)))
				for i := range 3600 {
					if !r.hear(nil, refusal(i)) {
						t.Fatal("no refusal")
					}
					time.Sleep(time.Second)
				}
				if count.lines < 10 || count.lines > 65 {
					t.Errorf("%d lines about it in an hour, want one a minute", count.lines)
				}
			})
		})
	}
}
