package ops_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tokenrelay/tokenrelay/internal/ops"
)

// broker is what a Source of these tests answers with. Only the bubble's
// goroutines use it, one at a time: between synctest.Wait and the next tick.
type broker struct {
	pending, letters uint64
	oldest           time.Time
	err              error
	asked            int
	hangs            bool
}

func (b *broker) ask(ctx context.Context) (uint64, time.Time, uint64, error) {
	b.asked++
	if b.hangs {
		<-ctx.Done()
		return 0, time.Time{}, 0, ctx.Err()
	}
	return b.pending, b.oldest, b.letters, b.err
}

// figures runs a collector over one broker a provider until the bubble ends.
func figures(t *testing.T, log *slog.Logger, brokers map[string]*broker) *ops.Figures {
	t.Helper()
	sources := map[string]ops.Source{}
	for provider, b := range brokers {
		sources[provider] = b.ask
	}
	f := ops.NewFigures(ops.FiguresOptions{Sources: sources, MaxAge: 10 * time.Hour, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func compare(t *testing.T, c prometheus.Collector, want string) {
	t.Helper()
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func exposition(clevertap, courier [3]string) string {
	return `
# HELP tokenrelay_letters Dead letters of the provider.
# TYPE tokenrelay_letters gauge
tokenrelay_letters{provider="clevertap"} ` + clevertap[2] + `
tokenrelay_letters{provider="courier"} ` + courier[2] + `
# HELP tokenrelay_oldest_pending_seconds Age of the oldest event that waits for the provider.
# TYPE tokenrelay_oldest_pending_seconds gauge
tokenrelay_oldest_pending_seconds{provider="clevertap"} ` + clevertap[1] + `
tokenrelay_oldest_pending_seconds{provider="courier"} ` + courier[1] + `
# HELP tokenrelay_pending_events Events of the whole fleet that wait for the provider.
# TYPE tokenrelay_pending_events gauge
tokenrelay_pending_events{provider="clevertap"} ` + clevertap[0] + `
tokenrelay_pending_events{provider="courier"} ` + courier[0] + `
`
}

var unknown = [3]string{"NaN", "NaN", "NaN"}

func TestFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap := &broker{pending: 7, oldest: time.Now().Add(-time.Minute), letters: 2}
		courier := &broker{}
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		compare(t, ops.NewFigures(ops.FiguresOptions{Sources: map[string]ops.Source{
			"clevertap": clevertap.ask, "courier": courier.ask,
		}}), exposition(unknown, unknown)) // never run

		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "60", "2"}, [3]string{"0", "0", "0"}))

		// Between two rounds nobody asks, however often it is scraped; waiting events age.
		time.Sleep(9 * time.Second)
		clevertap.pending = 8
		for range 100 {
			compare(t, f, exposition([3]string{"7", "69", "2"}, [3]string{"0", "0", "0"}))
		}
		if clevertap.asked != 1 {
			t.Errorf("asked %d times", clevertap.asked)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, f, exposition([3]string{"8", "70", "2"}, [3]string{"0", "0", "0"}))
	})
}

func TestFiguresOfABrokerAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap := &broker{pending: 7, letters: 2}
		courier := &broker{pending: 1}
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		synctest.Wait()
		clevertap.err = errors.New("no responders")
		time.Sleep(time.Minute)
		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "0", "2"}, [3]string{"1", "0", "0"}))
		time.Sleep(time.Second) // old figures are no figures
		compare(t, f, exposition(unknown, [3]string{"1", "0", "0"}))
		clevertap.err = nil
		time.Sleep(10 * time.Second)
		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "0", "2"}, [3]string{"1", "0", "0"}))
	})
}

func TestFiguresOfAHangingBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap := &broker{hangs: true}
		courier := &broker{pending: 1}
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		synctest.Wait()
		compare(t, f, exposition(unknown, unknown)) // and does not wait either
		time.Sleep(4 * time.Second)
		synctest.Wait()
		compare(t, f, exposition(unknown, [3]string{"1", "0", "0"}))
	})
}

func TestAlarmOnceAnEpisode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by Run only, read after synctest.Wait
		clevertap, courier := &broker{}, &broker{}
		figures(t, slog.New(slog.NewTextHandler(&log, nil)), map[string]*broker{"clevertap": clevertap, "courier": courier})
		round := func(waited time.Duration) string {
			log.Reset()
			clevertap.oldest = time.Now().Add(10 * time.Second).Add(-waited)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			return log.String()
		}
		synctest.Wait()
		for step, want := range []struct {
			waited time.Duration
			level  string
		}{
			{5 * time.Hour, ""}, // half of the age is not over half
			{5*time.Hour + time.Second, "level=WARN"},
			{6 * time.Hour, ""}, // the same episode
			{time.Hour, "level=INFO"},
			{time.Hour, ""},
			{9 * time.Hour, "level=WARN"},
		} {
			line := round(want.waited)
			if lines := strings.Count(line, "\n"); (want.level == "") != (lines == 0) || lines > 1 ||
				!strings.Contains(line, want.level) || lines == 1 && !strings.Contains(line, "provider=clevertap") {
				t.Errorf("step %d, waited %v: logged %q, want %q", step, want.waited, line, want.level)
			}
		}
	})
}
