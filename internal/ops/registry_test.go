package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tokenrelay/tokenrelay/internal/build"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/ops"
)

func TestNewRegistry(t *testing.T) {
	t.Parallel()
	running := build.Read()
	if running.Version == "" || running.GoVersion != runtime.Version() {
		t.Errorf("running = %+v", running)
	}
	registry := ops.NewRegistry()
	want := fmt.Sprintf(`
# HELP tokenrelay_build_info Always 1; the labels say what is running.
# TYPE tokenrelay_build_info gauge
tokenrelay_build_info{go_version=%q,revision=%q,version=%q} 1
`, running.GoVersion, running.Revision, running.Version)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tokenrelay_build_info"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if n, err := testutil.GatherAndCount(registry, name); n != 1 || err != nil {
			t.Errorf("%d series of %s, %v", n, name, err)
		}
	}
}

func TestCountReconnects(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	reconnected := ops.CountReconnects(registry)
	for want := range 3 {
		text := fmt.Sprintf(`
# HELP tokenrelay_reconnects_total Times that the connection to NATS was lost and made again.
# TYPE tokenrelay_reconnects_total counter
tokenrelay_reconnects_total %d
`, want)
		if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
		reconnected(nil)
	}
}

func TestNewLogger(t *testing.T) {
	t.Parallel()
	const escape = "\x1b["
	for name, test := range map[string]struct {
		format   string
		terminal bool
		json     bool
		colour   bool
	}{
		"auto on a terminal":    {"auto", true, false, true},
		"auto elsewhere":        {"auto", false, true, false},
		"JSON on a terminal":    {"json", true, true, false},
		"text elsewhere":        {"text", false, false, false},
		"text on a terminal":    {"text", true, false, true},
		"no format, elsewhere":  {"", false, true, false},
		"no format, a terminal": {"", true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ops.NewLogger(&out, "info", test.format, test.terminal).Info("a call", "records", 100)
			if json.Valid(out.Bytes()) != test.json || strings.Contains(out.String(), escape) != test.colour {
				t.Errorf("logged %q", out.String())
			}
			if !strings.Contains(out.String(), "a call") || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("logged %q", out.String())
			}
		})
	}
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{
		"debug": "DEBUG INFO WARN ERROR", "info": "INFO WARN ERROR", "warn": "WARN ERROR", "error": "ERROR", "": "INFO WARN ERROR",
	} {
		var out bytes.Buffer
		log := ops.NewLogger(&out, level, "json", false)
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			log.Log(t.Context(), l, l.String())
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			var entry struct{ Level string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			got = append(got, entry.Level)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q logs %q, want %q", level, got, want)
		}
	}
}

// Settings are logged by mistake sooner or later, whole and inside errors.
func TestLoggerShowsNoSecret(t *testing.T) {
	t.Parallel()
	settings := config.Worker{
		NATS: config.NATS{Password: config.NewSecret("hunter2")},
		Providers: config.Providers{
			CleverTap: config.CleverTap{AccountID: "A", Passcode: config.NewSecret("hunter2")},
			Courier:   config.Courier{APIKey: config.NewSecret("hunter2")},
		},
	}
	for _, format := range []string{"json", "text"} {
		for _, terminal := range []bool{false, true} {
			var out bytes.Buffer
			log := ops.NewLogger(&out, "debug", format, terminal)
			log.With("key", settings.Providers.Courier.APIKey).Info("starting",
				"settings", settings, "pointer", &settings,
				slog.Group("group", "passcode", settings.Providers.CleverTap.Passcode),
				"error", fmt.Errorf("with %v: %w", settings, errors.New("refused")))
			if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "[secret]") {
				t.Errorf("%s, terminal %t: logged %s", format, terminal, out.String())
			}
		}
	}
}
