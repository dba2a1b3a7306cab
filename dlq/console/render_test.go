package console

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An error keeps what it says of what was done, and has no words of a
// program's insides.
func TestErrorLine(t *testing.T) {
	t.Parallel()
	const late, missing = "the broker did not answer in time, or the NATS user lacks a right", "the broker has no such stream (a worker that starts makes it)"
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"none":             {nil, ""},
		"of our own":       {errors.New("first\nsecond"), "first; second"},
		"a late answer":    {context.DeadlineExceeded, late},
		"one of NATS":      {fmt.Errorf("bucket: %w", nats.ErrTimeout), "bucket: " + late},
		"of a purge":       {fmt.Errorf("%w: nothing was removed; begin again", fmt.Errorf("stream TOKENS_DLQ: %w", context.DeadlineExceeded)), "stream TOKENS_DLQ: " + late + ": nothing was removed; begin again"},
		"no stream":        {fmt.Errorf("stream TOKENS is missing, so events were not looked at: %w", jetstream.ErrStreamNotFound), "stream TOKENS is missing, so events were not looked at: " + missing},
		"the server's own": {fmt.Errorf("purge: %w", jetstream.ErrStreamNotFound.APIError()), "purge: " + missing},
		"two":              {errors.Join(jetstream.ErrStreamNotFound, context.DeadlineExceeded), missing + "; " + late},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := errorLine(c.err); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
