package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
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

// An export that is stopped blames nothing else.
func TestStoppedExport(t *testing.T) {
	t.Parallel()
	_, letters := oneLetter(t)
	export := &exportTask{chosen: chosen{letters: letters}, out: io.Discard, cutOff: func() {}}
	if found, err := export.look(t.Context()); err != nil || found.Total != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	j := &job{kind: "export", task: export, state: running, changed: func() {}}
	j.ctx, j.cancel = context.WithCancel(t.Context())
	j.stop()
	if _, err := j.run(export); !errors.Is(err, context.Canceled) { // by which the answer is cut off, too
		t.Errorf("error %v", err)
	}
	v := j.view()
	if v.State != done || !v.Stopped || v.Err != "" || v.Result.Good || v.Result.Summary != "0 letters written, and then it was stopped: the file is not whole." {
		t.Errorf("%+v", v)
	}
	pages, err := parsePages()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := pages.ExecuteTemplate(&said, "job-state", v); err != nil || said.String() != "stopped" {
		t.Errorf("the page says %q, %v", said.String(), err)
	}
}
