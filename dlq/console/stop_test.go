package console

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// Hasty lets a console wait for a request a moment only. It is not started yet.
func (c *Console) Hasty() { c.server.ReadTimeout = 50 * time.Millisecond }

// Impatient lets a console wait a moment only for lines, at its end.
func (c *Console) Impatient() { c.grace = 50 * time.Millisecond }

// Lively makes the signs of life come so often that a page misses them soon.
// The console is not started yet.
func (c *Console) Lively() { c.heartbeat = time.Second }

// stubborn is a task that does not heed its context.
type stubborn struct{ until chan struct{} }

func (s stubborn) look(context.Context) (preview, error) {
	<-s.until
	return preview{}, nil
}

func (stubborn) run(context.Context, func(progress)) (result, error) { return result{}, nil }

// A job that does not end is told of, unlike a line on which somebody hangs.
func TestStopTellsOfAJob(t *testing.T) {
	t.Parallel()
	c, err := New(Settings{Addr: "127.0.0.1:0", JS: brokertest.New(t).JS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	until := make(chan struct{})
	if err := c.jobs.begin(&job{kind: "purge", task: stubborn{until}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(until)
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
