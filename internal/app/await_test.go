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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/ops"
)

func newWaiting() *waiting {
	log := slog.New(slog.DiscardHandler)
	return &waiting{log: log, rights: newRights(log), readiness: &ops.Readiness{}}
}

// answers are what JetStream says to one question after the other; the last
// one again and again.
func answers(errs ...error) (ask func(context.Context) (string, error), asked *int) {
	asked = new(int)
	return func(context.Context) (string, error) {
		err := errs[min(*asked, len(errs)-1)]
		*asked++
		return "answer", err
	}, asked
}

func TestAwaitWaitsForWhatPasses(t *testing.T) {
	t.Parallel()
	noLeader := fmt.Errorf("stream TOKENS: %w", &jetstream.APIError{Code: 503, ErrorCode: 10008})
	for _, passes := range []error{context.DeadlineExceeded, nats.ErrNoResponders, nats.ErrTimeout, jetstream.ErrNoStreamResponse, noLeader} {
		t.Run(passes.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ask, asked := answers(passes, passes, passes, nil)
				answer, err := await(t.Context(), newWaiting(), ask)
				if answer != "answer" || err != nil || *asked != 4 {
					t.Errorf("%q and %v after %d questions, want an answer after 4", answer, err, *asked)
				}
			})
		})
	}
}

func TestAwaitTellsAtOnceWhatAPersonMustMend(t *testing.T) {
	t.Parallel()
	broken := errors.New("stream TOKENS: retention is workqueue")
	ask, asked := answers(broken)
	if _, err := await(t.Context(), newWaiting(), ask); err != broken || *asked != 1 { //nolint:errorlint // the very error, not a wrapped one
		t.Errorf("%v after %d questions, want %v after 1", err, *asked, broken)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ask, _ := answers(nats.ErrNoResponders)
		if _, err := await(ctx, newWaiting(), ask); err == nil {
			t.Error("no error, want one when the time is over")
		}
	})
}
