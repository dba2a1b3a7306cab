package e2e_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/delivery"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
)

// brittle is a provider with a bug: it panics over some tokens.
type brittle struct {
	name    string
	records int

	mu    sync.Mutex
	taken []string
}

func (b *brittle) Name() string    { return b.name }
func (b *brittle) MaxRecords() int { return b.records }
func (b *brittle) Close()          {}

func (b *brittle) Prepare(ev *event.Event) (providers.Record, error) {
	if strings.HasPrefix(ev.Token, "prepare") {
		panic("bad token " + ev.Token)
	}
	return providers.Record{Event: ev}, nil
}

func (b *brittle) Call(_ context.Context, records []providers.Record) providers.Answer {
	for _, record := range records {
		if strings.HasPrefix(record.Event.Token, "call") {
			var nothing map[string]string
			nothing[record.Event.Token] = "panics" //nolint:staticcheck // it is to panic
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, record := range records {
		b.taken = append(b.taken, record.Event.Token)
	}
	return providers.Answer{Result: providers.OK, Status: 200}
}

func (b *brittle) tokens() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.taken...)
}

// A panic over one record is that record's death, and nobody else's.
func TestPanicIsCaughtAtItsRecord(t *testing.T) {
	t.Parallel()
	for _, provider := range []*brittle{{name: event.CleverTap, records: 100}, {name: event.Courier, records: 1}} {
		t.Run(provider.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ensure()
			batch := registrations(0, 50)
			batch = append(batch[:20], append([]string{registrationOf("prepare-1"), registrationOf("call-1")}, batch[20:]...)...)
			w.put(batch...)
			log := w.desk(provider)
			w.settled(provider.name)
			letters := w.letters(provider.name)
			for _, bad := range []string{"prepare-1", "call-1"} {
				if found := byToken(letters, bad); len(found) != 1 || found[0].code != "internal_error" || found[0].reason() == "" {
					t.Errorf("%s: letters %+v, want one of internal_error", bad, found)
				}
			}
			if len(letters) != 2 {
				t.Errorf("%d letters, want two", len(letters))
			}
			taken := map[string]int{}
			for _, token := range provider.tokens() {
				taken[token]++
			}
			for _, token := range tokens(0, 50) {
				if taken[token] != 1 {
					t.Errorf("%s was taken %d times, want once", token, taken[token])
				}
			}
			if len(log.with(`"level":"ERROR"`, "brittle")) < 2 {
				t.Errorf("the log does not show where it happened:\n%s", log)
			}
			for _, private := range []string{"prepare-1", "call-1"} {
				if strings.Contains(log.String(), private) {
					t.Errorf("the log shows %s", private)
				}
			}
		})
	}
}

// desk runs delivery for a provider of the test's own, until the test ends.
func (w *world) desk(provider providers.Provider) *book {
	w.t.Helper()
	lines := &book{}
	log := slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	board := fleet.NewBoard(fleet.BoardSettings{JS: w.broker.JS, Bucket: consumer.FleetBucket, Log: log})
	events, err := consumer.Open(w.t.Context(), w.broker.JS, provider.Name(), consumer.Options{Log: log, Topology: consumer.Topology{Provision: true}})
	if err != nil {
		w.t.Fatalf("open consumer: %v", err)
	}
	desk := delivery.NewDesk(delivery.Settings{
		Provider: provider, Consumer: events, Letters: dlq.NewWriter(w.broker.JS, nil), Conn: w.broker.Conn,
		Holds:   fleet.NewHolds(board, "pod", fleet.Schedule{Min: 50 * time.Millisecond, Max: time.Second}, 10*time.Second, log),
		Metrics: delivery.NewMetrics(prometheus.NewRegistry()), Log: log,
		Calls: 4, BatchWait: 50 * time.Millisecond, RetryMaxElapsed: 100 * time.Millisecond, MaxAttempts: 2,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { board.Run(ctx) })
	running.Go(func() { desk.Run(ctx, context.Background()) })
	w.t.Cleanup(func() {
		stop()
		running.Wait()
		events.Close()
	})
	return lines
}
