package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/rights"
)

func newWaiting() *waiting {
	log := slog.New(slog.DiscardHandler)
	return &waiting{log: log, refusals: newRefusals(log), readiness: &ops.Readiness{}}
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

// What a person must grant is asked for ever less often, what passes by itself
// every few seconds.
func TestAwaitAsksLessOftenForARight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err         error
		least, most int
	}{
		"a right":      {rights.RefusalOf(violation("Publish", "$JS.API.STREAM.INFO.TOKENS")), 60, 90},
		"switched off": {nats.ErrNoResponders, 60, 90},
		"no leader":    {nats.ErrTimeout, 700, 1500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				ask, asked := answers(c.err)
				w := newWaiting()
				if _, err := await(ctx, w, ask); err == nil || *asked < c.least || *asked > c.most {
					t.Errorf("%d questions in an hour, and then %v; want %d to %d", *asked, err, c.least, c.most)
				}
			})
		})
	}
}

// Who asks whether the pod is ready hears what it waits for, and no longer
// than that.
func TestAwaitTellsReadiness(t *testing.T) {
	t.Parallel()
	w := newWaiting()
	lacking := rights.RefusalOf(violation("Publish", "$JS.API.STREAM.INFO.TOKENS"))
	why := func() string { return strings.Join(w.readiness.State().Why, "; ") }
	tries := 0
	_, err := await(t.Context(), w, func(context.Context) (int, error) {
		if tries++; tries == 1 {
			return 0, lacking
		}
		if want := "starting: " + lacking.Error(); !strings.Contains(why(), want) {
			t.Errorf("why not ready: %s; want %s", why(), want)
		}
		return 0, nil
	})
	if err != nil || tries != 2 || strings.Contains(why(), "starting:") {
		t.Errorf("after %d tries: %v; why not ready: %s", tries, err, why())
	}
}
