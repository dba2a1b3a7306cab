package console

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/lettertest"
)

// The letters' stream is not read all the time, however long a pass takes, and
// whoever was away is found soon.
func TestRestAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took time.Duration
		err  error
		want time.Duration
	}{
		"a quick one":         {time.Millisecond, nil, 250 * time.Millisecond},
		"one of a minute":     {time.Minute, nil, 5 * time.Minute},
		"one that had no end": {10 * time.Minute, fmt.Errorf("stream: %w", errTooLong), 50 * time.Minute},
		"a broker away":       {30 * time.Second, context.DeadlineExceeded, 250 * time.Millisecond},
		"no stream":           {time.Second, jetstream.ErrStreamNotFound, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := restAfter(c.took, c.err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// oneLetter is a stream with a single letter.
func oneLetter(t *testing.T) (*lettertest.World, *dlq.Reader) {
	t.Helper()
	w := lettertest.New(t)
	w.Die(dlq.Letter{Provider: "courier", Code: "http_400", Reason: "refused", Body: []byte("{}")})
	letters, err := dlq.Open(t.Context(), w.Broker.JS)
	if err != nil {
		t.Fatal(err)
	}
	return w, letters
}

// A pass that takes too long says so and blames nobody; what was counted before
// it stands.
func TestACountThatTakesTooLong(t *testing.T) {
	t.Parallel()
	w, letters := oneLetter(t)
	counts := newTally(letters)
	seen, err := counts.look(t.Context(), dlq.Extent{})
	if now := counts.now(); err != nil || seen.Letters != 1 || now.Total != 1 || now.Err != "" {
		t.Fatalf("%+v, %v, %+v", seen, err, now)
	}
	w.Die(dlq.Letter{Provider: "courier", Code: "http_400", Reason: "refused", Body: []byte("{}")})
	counts.most = 0
	w.Broker.Stop() // so that it cannot be quicker
	if seen, err = counts.look(t.Context(), seen); !errors.Is(err, errTooLong) || seen != (dlq.Extent{}) {
		t.Errorf("%+v, %v", seen, err)
	}
	if now := counts.now(); now.Total != 1 || !now.Known || now.Err != errTooLong.Error() {
		t.Errorf("%+v", now)
	}
	counts.most = time.Hour
	if err := w.Broker.Restart(); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "both are counted", func() bool {
		_, err := counts.look(t.Context(), seen)
		return err == nil && counts.now().Total == 2 && counts.now().Err == ""
	})
}
