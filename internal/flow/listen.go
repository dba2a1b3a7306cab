package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// Bounds of what is heard and not looked at yet.
	mostUnread      = 2 * mostPods
	mostUnreadBytes = 4 << 20
	// deafRounds is how long one that may not listen, or not announce, waits
	// before it tries again: rights change while it runs.
	deafRounds = 30
)

// listen takes over what the workers announce. It returns nil when ctx ends, and
// an error when the connection is closed.
func (w *Watch) listen(ctx context.Context) error {
	told := false
	for {
		err := w.hear(ctx)
		if !errors.Is(err, nats.ErrPermissionViolation) {
			return err
		}
		if !told {
			w.Log.Warn("the workers' announcements may not be heard", "subject", Subject)
			told = true
		}
		w.setDeaf(true)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(deafRounds * w.Every):
		}
	}
}

// hear is listen with one subscription: it also ends with its refusal.
func (w *Watch) hear(ctx context.Context) error {
	heard, err := w.JS.Conn().SubscribeSync(Subject)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", Subject, err)
	}
	defer func() { _ = heard.Unsubscribe() }() // fails only with the connection, which ends it too
	if err := heard.SetPendingLimits(mostUnread, mostUnreadBytes); err != nil {
		return fmt.Errorf("listen on %s: %w", Subject, err)
	}
	answered, end := context.WithTimeout(ctx, w.Wait)
	_ = w.JS.Conn().FlushWithContext(answered) // a refusal comes before the answer; a broker that is away answers later
	end()
	for {
		round, end := context.WithTimeout(ctx, w.Every)
		message, err := heard.NextMsgWithContext(round)
		end()
		switch {
		case ctx.Err() != nil:
			return nil // the end that was asked for
		case errors.Is(err, context.DeadlineExceeded): // nobody spoke, and we were not refused
			w.setDeaf(false)
			continue
		case errors.Is(err, nats.ErrSlowConsumer): // some were not heard; the next ones say as much
			continue
		case err != nil:
			return fmt.Errorf("listen on %s: %w", Subject, err)
		}
		w.setDeaf(false)
		a := read(message.Data)
		w.mu.Lock()
		w.alive = true
		if a != nil {
			w.books.hear(time.Now(), a)
		}
		w.mu.Unlock()
		if a != nil {
			w.tell()
		}
	}
}

// setDeaf notes what the broker let us do. One that is away says nothing of it.
func (w *Watch) setDeaf(deaf bool) {
	if !w.JS.Conn().IsConnected() {
		return
	}
	w.mu.Lock()
	w.deaf = deaf
	w.mu.Unlock()
}
