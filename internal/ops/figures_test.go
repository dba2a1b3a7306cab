package ops_test

import (
	"context"
	"errors"
	"fmt"
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
	ops.Figure
	err   error
	hangs bool
}

// waiting is a figure of so many events that wait and so many letters, in
// streams of the usual ages.
func waiting(pending, letters uint64) answer {
	return answer{Figure: ops.Figure{Pending: pending, Letters: letters, MaxAge: 10 * time.Hour, LettersMaxAge: 20 * time.Hour}}
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

func (b *broker) ask(ctx context.Context) (ops.Figure, error) {
	b.mu.Lock()
	b.asked++
	a := b.answer
	b.mu.Unlock()
	if a.hangs {
		<-ctx.Done()
		a.err = ctx.Err()
	}
	return a.Figure, a.err
}

// figures runs a collector over one broker a provider until the bubble ends.
func figures(t *testing.T, log *slog.Logger, brokers map[string]*broker) *ops.Figures {
	t.Helper()
	sources := map[string]ops.Source{}
	for provider, b := range brokers {
		sources[provider] = b.ask
	}
	f := ops.NewFigures(ops.FiguresOptions{Sources: sources, Log: log})
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

// shown is what each gauge is to show of one provider.
type shown struct{ pending, oldest, letters, oldestLetter, maxAge, lettersMaxAge string }

func (s shown) in(pending, oldest, letters, oldestLetter string) shown {
	s.pending, s.oldest, s.letters, s.oldestLetter = pending, oldest, letters, oldestLetter
	return s
}

// usual is what shows of `waiting` streams; unknown of a broker that never answered.
func usual() shown   { return shown{maxAge: "36000", lettersMaxAge: "72000"} }
func unknown() shown { return shown{"NaN", "NaN", "NaN", "NaN", "NaN", "NaN"} }

func exposition(clevertap, courier shown) string {
	var text strings.Builder
	for _, g := range []struct {
		name, help string
		of         func(shown) string
	}{
		{"events_max_age_seconds", "Time after which the stream drops an event.", func(s shown) string { return s.maxAge }},
		{"letters", "Dead letters of the provider.", func(s shown) string { return s.letters }},
		{"letters_max_age_seconds", "Time after which the stream drops a letter.", func(s shown) string { return s.lettersMaxAge }},
		{"oldest_letter_seconds", "Age of the oldest dead letter of the provider.", func(s shown) string { return s.oldestLetter }},
		{"oldest_pending_seconds", "Age of the oldest event that waits for the provider.", func(s shown) string { return s.oldest }},
		{"pending_events", "Events of the whole fleet that wait for the provider.", func(s shown) string { return s.pending }},
	} {
		fmt.Fprintf(&text, "# HELP tokenrelay_%[1]s %[2]s\n# TYPE tokenrelay_%[1]s gauge\n"+
			"tokenrelay_%[1]s{provider=\"clevertap\"} %[3]s\ntokenrelay_%[1]s{provider=\"courier\"} %[4]s\n",
			g.name, g.help, g.of(clevertap), g.of(courier))
	}
	return text.String()
}

func TestFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := waiting(7, 2)
		first.Oldest, first.OldestLetter = time.Now().Add(-time.Minute), time.Now().Add(-time.Hour)
		clevertap, courier := newBroker(first), newBroker(waiting(0, 0))
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		compare(t, ops.NewFigures(ops.FiguresOptions{Sources: map[string]ops.Source{
			"clevertap": clevertap.ask, "courier": courier.ask,
		}}), exposition(unknown(), unknown())) // never run

		empty := usual().in("0", "0", "0", "0")
		synctest.Wait()
		compare(t, f, exposition(usual().in("7", "60", "2", "3600"), empty))

		// Between two rounds nobody asks, however often it is scraped; what waits ages.
		time.Sleep(9 * time.Second)
		second := first
		second.Pending = 8
		clevertap.set(second)
		for range 100 {
			compare(t, f, exposition(usual().in("7", "69", "2", "3609"), empty))
		}
		if n := clevertap.timesAsked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		compare(t, f, exposition(usual().in("8", "70", "2", "3610"), empty))
	})
}

// Where nothing is ever dropped no age comes near the limit.
func TestFiguresWithoutALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := figures(t, quiet(), map[string]*broker{"clevertap": newBroker(answer{}), "courier": newBroker(waiting(0, 0))})
		synctest.Wait()
		compare(t, f, exposition(shown{"0", "0", "0", "0", "+Inf", "+Inf"}, usual().in("0", "0", "0", "0")))
	})
}

func TestFiguresOfABrokerAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap, courier := newBroker(waiting(7, 2)), newBroker(waiting(1, 0))
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		synctest.Wait()
		clevertap.set(answer{err: errors.New("no responders")})
		time.Sleep(time.Minute)
		synctest.Wait()
		seven, one := usual().in("7", "0", "2", "0"), usual().in("1", "0", "0", "0")
		compare(t, f, exposition(seven, one))
		time.Sleep(time.Second) // old figures are no figures
		compare(t, f, exposition(unknown(), one))
		clevertap.set(waiting(7, 2))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		compare(t, f, exposition(seven, one))
	})
}

func TestFiguresOfAHangingBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clevertap, courier := newBroker(answer{hangs: true}), newBroker(waiting(1, 0))
		f := figures(t, quiet(), map[string]*broker{"clevertap": clevertap, "courier": courier})
		synctest.Wait()
		compare(t, f, exposition(unknown(), unknown())) // and does not wait either
		time.Sleep(4 * time.Second)
		synctest.Wait()
		compare(t, f, exposition(unknown(), usual().in("1", "0", "0", "0")))
	})
}

func TestAlarmOnceAnEpisode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := make(lines, 100)
		clevertap, courier := newBroker(waiting(0, 0)), newBroker(waiting(0, 0))
		figures(t, slog.New(slog.NewTextHandler(log, nil)), map[string]*broker{"clevertap": clevertap, "courier": courier})
		round := func(waited time.Duration) (logged []string) {
			late := waiting(1, 0)
			late.Oldest = time.Now().Add(10 * time.Second).Add(-waited)
			clevertap.set(late)
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
