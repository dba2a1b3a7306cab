package ops_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tokenrelay/tokenrelay/internal/ops"
)

// broker is what a Source of these tests answers with.
type broker struct {
	mu     sync.Mutex
	answer answer
	asked  int
}

type answer struct {
	pending, letters uint64
	oldest           time.Time
	err              error
	hangs            bool
}

func newBroker(a answer) *broker { return &broker{answer: a} }

func (b *broker) set(a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = a
}

func (b *broker) timesAsked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *broker) ask(ctx context.Context) (uint64, time.Time, uint64, error) {
	b.mu.Lock()
	b.asked++
	a := b.answer
	b.mu.Unlock()
	if a.hangs {
		<-ctx.Done()
		a.err = ctx.Err()
	}
	return a.pending, a.oldest, a.letters, a.err
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
		first := answer{pending: 7, oldest: time.Now().Add(-time.Minute), letters: 2}
		clevertap, courier := newBroker(first), newBroker(answer{})
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		compare(t, ops.NewFigures(ops.FiguresOptions{Sources: map[string]ops.Source{
			"clevertap": clevertap.ask, "courier": courier.ask,
		}}), exposition(unknown, unknown)) // never run

		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "60", "2"}, [3]string{"0", "0", "0"}))

		// Between two rounds nobody asks, however often it is scraped; waiting events age.
		time.Sleep(9 * time.Second)
		second := first
		second.pending = 8
		clevertap.set(second)
		for range 100 {
			compare(t, f, exposition([3]string{"7", "69", "2"}, [3]string{"0", "0", "0"}))
		}
		if n := clevertap.timesAsked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, f, exposition([3]string{"8", "70", "2"}, [3]string{"0", "0", "0"}))
	})
}

func TestFiguresOfABrokerAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap, courier := newBroker(answer{pending: 7, letters: 2}), newBroker(answer{pending: 1})
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		synctest.Wait()
		clevertap.set(answer{err: errors.New("no responders")})
		time.Sleep(time.Minute)
		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "0", "2"}, [3]string{"1", "0", "0"}))
		time.Sleep(time.Second) // old figures are no figures
		compare(t, f, exposition(unknown, [3]string{"1", "0", "0"}))
		clevertap.set(answer{pending: 7, letters: 2})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		compare(t, f, exposition([3]string{"7", "0", "2"}, [3]string{"1", "0", "0"}))
	})
}

func TestFiguresOfAHangingBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap, courier := newBroker(answer{hangs: true}), newBroker(answer{pending: 1})
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
		log := make(lines, 100)
		clevertap, courier := newBroker(answer{}), newBroker(answer{})
		figures(t, slog.New(slog.NewTextHandler(log, nil)), map[string]*broker{"clevertap": clevertap, "courier": courier})
		round := func(waited time.Duration) (logged []string) {
			clevertap.set(answer{oldest: time.Now().Add(10 * time.Second).Add(-waited)})
			time.Sleep(10 * time.Second)
			synctest.Wait()
			for len(log) > 0 {
				logged = append(logged, <-log)
			}
			return logged
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
			logged := round(want.waited)
			if want.level == "" {
				if len(logged) > 0 {
					t.Errorf("step %d, waited %v: logged %q", step, want.waited, logged)
				}
				continue
			}
			if len(logged) != 1 || !strings.Contains(logged[0], want.level) || !strings.Contains(logged[0], "provider=clevertap") {
				t.Errorf("step %d, waited %v: logged %q, want one line of %q", step, want.waited, logged, want.level)
			}
		}
	})
}

// lines takes a log's lines.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
