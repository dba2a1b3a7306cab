package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/flow"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// watch follows the flow until the test ends.
func (w *world) watch() *flow.Watch {
	w.t.Helper()
	_, js := brokertest.Connect(w.t, w.broker.URL())
	watch := flow.NewWatch(flow.Settings{JS: js, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- watch.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the watch ended with %v", err)
		}
	})
	return watch
}

// shows waits until the watch has counted so many at a provider.
func shows(t *testing.T, watch *flow.Watch, provider string, delivered, dead uint64, pods int) flow.Provider {
	t.Helper()
	var p flow.Provider
	eventually(t, fmt.Sprintf("%d delivered and %d dead at %s, by %d pods", delivered, dead, provider, pods), func() bool {
		for _, p = range watch.Now().Providers {
			if p.Name == provider {
				break
			}
		}
		return p.Delivered == delivered && p.Dead == dead && p.Pods == pods
	})
	return p
}

// A watch counts what a worker did, exactly: all of it when it saw the worker
// start, what came later when it did not, up to the last event before the end.
func TestAWatchCountsEveryOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early := w.watch()
	p := w.start()
	w.put(registrations(0, 200)...)
	w.settled()
	for _, provider := range event.Providers() {
		shows(t, early, provider, 200, 0, 1)
	}
	late := w.watch()
	for _, provider := range event.Providers() {
		shows(t, late, provider, 0, 0, 1)
	}
	w.put(registrations(200, 240)...)
	for i := range 20 {
		w.put("no JSON", fmt.Sprintf(`{"object_id":"object-%d","token":"more-%[1]d","type":"fcm","destinations":["clevertap","courier"]}`, i),
			fmt.Sprintf(`{"user_id":"user-%d","token":"most-%[1]d","type":"fcm"}`, i))
	}
	w.settled()
	if err := p.stop(); err != nil { // before the next announcement is due
		t.Fatal(err)
	}
	shows(t, early, event.CleverTap, 460, 20, 0)
	shows(t, early, event.Courier, 460, 40, 0)
	shows(t, late, event.CleverTap, 260, 20, 0)
	last := shows(t, late, event.Courier, 260, 40, 0)
	var sum flow.Point
	for _, point := range last.Plot {
		sum.Delivered, sum.Dead = sum.Delivered+point.Delivered, sum.Dead+point.Dead
	}
	if sum != (flow.Point{Delivered: 260, Dead: 40}) {
		t.Errorf("the plot sums up to %v", sum)
	}
	eventually(t, "what waits and what died is known", func() bool {
		clever, courier := late.Now().Providers[0], late.Now().Providers[1]
		return clever.Known && clever.Waiting == 0 && clever.Oldest == 0 && clever.Letters == 20 &&
			courier.Known && courier.Waiting == 0 && courier.Letters == 40 && len(clever.Permits) == 0
	})
}

// What a worker has now is shown while it works, and a hold is ended from
// where it is seen.
func TestAWatchShowsAHoldAndEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "HOLD_MIN=20m", "HOLD_MAX=20m", "CLEVERTAP_MAX_CONCURRENT=2")
	watch := w.watch()
	w.start()
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: 401})
	w.put(registrations(0, 30)...)
	eventually(t, "the hold is shown, and the permits", func() bool {
		p := watch.Now().Providers[0]
		return p.Hold != nil && p.Hold.Reason == "unauthorized" && p.Pods == 1 && p.PermitCap == 2 && len(p.Permits) > 0 && p.Waiting == 30
	})
	w.fault(event.CleverTap)
	if was, err := watch.Resume(t.Context(), event.CleverTap); !was || err != nil {
		t.Fatalf("%t, %v", was, err)
	}
	p := shows(t, watch, event.CleverTap, 30, 0, 1)
	if p.Rate <= 0 {
		t.Errorf("%v a second", p.Rate)
	}
	eventually(t, "no hold is shown", func() bool { return watch.Now().Providers[0].Hold == nil })
}

// A worker whose NATS user may not announce says so once and works on.
func TestAWorkerThatMayNotAnnounceWorks(t *testing.T) {
	t.Parallel()
	broker, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(t.TempDir(), "jetstream"),
		Users: []*server.User{{Username: "worker", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{flow.Subject}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the broker does not start")
	}
	w := newWorld(t, "NATS_URL="+broker.ClientURL(), "NATS_USER=worker", "NATS_PASSWORD=secret")
	p := w.start()
	_, js := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("worker", "secret"))
	if _, err := js.Publish(t.Context(), "tokens.registered", []byte(registration(1))); err != nil {
		t.Fatal(err)
	}
	for _, provider := range event.Providers() {
		eventually(t, provider+" takes it", func() bool { return w.report(provider).Accepted == 1 })
	}
	eventually(t, "it is warned of", func() bool { return len(p.log.with("WARN", flow.Subject)) > 0 })
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if lines := p.log.with("WARN"); len(lines) != 1 || strings.Contains(lines[0], "Permissions Violation") {
		t.Errorf("%d warnings, want one:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}
