package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// The longest pauses between two questions: a new leader is there within
// seconds, while what a person must grant or switch on takes its time.
const (
	passingPause  = 5 * time.Second
	standingPause = time.Minute
)

// waiting is how a start waits for JetStream: it says what for, in the log and
// to who asks whether this pod is ready.
type waiting struct {
	log       *slog.Logger
	refusals  *refusals
	readiness *ops.Readiness
}

// await asks JetStream until it answers, and waits while it cannot: a cluster
// has no leader for some seconds after it lost one, and a right may be granted
// while we wait. What will not pass without a restart is an error at once.
func await[T any](ctx context.Context, w *waiting, question func(context.Context) (T, error)) (T, error) {
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(250*time.Millisecond),
		backoff.WithMaxInterval(standingPause), backoff.WithMaxElapsedTime(0))
	defer w.readiness.SetWaiting("")
	for {
		answer, err := ask(ctx, w.refusals, question)
		_, refused := errors.AsType[*rights.Refusal](err)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return answer, context.Cause(ctx)
		case !refused && !consumer.Transient(err):
			return answer, err
		}
		pause := min(spacing.NextBackOff(), standingPause)
		if !refused && !errors.Is(err, nats.ErrNoResponders) {
			pause = min(pause, passingPause)
		}
		w.readiness.SetWaiting(err.Error())
		w.log.Warn("waiting for JetStream", "err", err, "next_try_in", pause.Round(time.Millisecond).String())
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, context.Cause(ctx)
		}
	}
}
