package rules_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/app"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// The metrics are those of a worker that runs: nothing has happened in it yet,
// and every series is to be there.
func TestReadmeHasEveryMetric(t *testing.T) {
	t.Parallel()
	names, values := metrics(t)
	var told []string
	for _, row := range rows(t, read(t, "README.md"), "| metric | labels | |") {
		told = append(told, row[0]+"{"+strings.ReplaceAll(row[1], " ", "")+"}")
		for _, value := range values[row[0]] {
			if !strings.Contains(row[2], value) {
				t.Errorf("README.md does not say that %s has %s", row[0], value)
			}
		}
	}
	compare(t, "README.md, metrics", told, names)
}

// metrics are ours as `name{label,label}`, and what values those of their
// labels have that are a few words of ours.
func metrics(t *testing.T) (names []string, values map[string][]string) {
	t.Helper()
	values = map[string][]string{}
	families, err := startWorker(t).Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), ops.Namespace+"_")
		if !ours {
			continue
		}
		var labels []string
		for i, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if i == 0 {
					labels = append(labels, label.GetName())
				}
				switch label.GetName() {
				case "outcome", "result", "trigger", "source", "reason":
					values[name] = append(values[name], label.GetValue())
				}
			}
		}
		// The document has the provider first, Gather the alphabet.
		slices.SortStableFunc(labels, func(a, b string) int {
			switch {
			case a == "provider":
				return -1
			case b == "provider":
				return 1
			}
			return 0
		})
		names = append(names, name+"{"+strings.Join(labels, ",")+"}")
	}
	if len(values) < 4 {
		t.Fatalf("only %d metrics have labels of ours", len(values))
	}
	return names, values
}

// startWorker runs a worker of both providers until the test ends.
func startWorker(t *testing.T) *app.Worker {
	t.Helper()
	broker := brokertest.New(t)
	fakes, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fakes.Close() })
	var settings struct {
		config.Worker `embed:""`
	}
	var problems strings.Builder
	if command, _ := config.Parse("worker", "", &settings, nil, []string{
		"NATS_URL=" + broker.URL(), "HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=error",
		"CLEVERTAP_BASE_URL=" + fakes.CleverTapURL(), "CLEVERTAP_ACCOUNT_ID=" + sandbox.DefaultAccountID, "CLEVERTAP_PASSCODE=" + sandbox.DefaultPasscode,
		"COURIER_BASE_URL=" + fakes.CourierURL(), "COURIER_API_KEY=" + sandbox.DefaultAPIKey,
	}, io.Discard, &problems); command == nil {
		t.Fatal(problems.String())
	}
	worker := app.New(settings.Worker, false, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := worker.Stop(ctx); err != nil {
			t.Errorf("stop the worker: %v", err)
		}
	})
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return worker
}
