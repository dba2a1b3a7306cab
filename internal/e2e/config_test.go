package e2e_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// Everything that is wrong is told in one run, a line each, and nothing starts.
func TestWrongConfigurationIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want []string // the variable and a word, a line each
	}{
		{"nothing is set", nil, []string{"run"}, []string{"NATS_URL is not set", "PROVIDERS"}},
		{"nothing is set for a check", nil, []string{"check"}, []string{"NATS_URL is not set", "PROVIDERS"}},
		{"many mistakes", []string{
			"NATS_URL=http://user:hunter2@broker", "CLEVERTAP_ACCOUNT_ID=account", "COURIER_API_KEY=hunter2", "COURIER_REGION=mars",
			"HTTP_TIMEOUT=soon", "CLEVERTAP_BATCH_SIZE=101", "HOLD_MIN=10m", "LOG_LEVEL=loud", "STREAM_MAX_AGE=1h", "NATS_PASSWORD=hunter2",
		}, []string{"run"}, []string{
			"NATS_URL", "CLEVERTAP_PASSCODE", "COURIER_REGION", "HTTP_TIMEOUT", "CLEVERTAP_BATCH_SIZE", "HOLD_MIN", "LOG_LEVEL", "STREAM_MAX_AGE", "NATS_USER",
		}},
		{"a lease too short", []string{"NATS_URL=nats://broker", "COURIER_API_KEY=key", "PERMIT_LEASE=20s"}, []string{"run"}, []string{"PERMIT_LEASE"}},
		{"a secret twice", []string{"NATS_URL=nats://broker", "COURIER_API_KEY=hunter2", "COURIER_API_KEY_FILE=/nowhere"}, []string{"run"}, []string{"COURIER_API_KEY"}},
		{"a provider without credentials", []string{"NATS_URL=nats://broker", "COURIER_API_KEY=key", "PROVIDERS=courier,clevertap"}, []string{"run"},
			[]string{"CLEVERTAP_ACCOUNT_ID", "CLEVERTAP_PASSCODE"}},
		{"an unknown flag", []string{"NATS_URL=nats://broker"}, []string{"resume", "courier", "--fast"}, []string{"--fast"}},
		{"an unknown provider", []string{"NATS_URL=nats://broker"}, []string{"resume", "pigeon"}, []string{"clevertap, courier"}},
		{"no command", nil, nil, []string{"run"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			done := runWorker(t, c.env, c.args...)
			if done.code != 2 {
				t.Errorf("exit %d, want 2", done.code)
			}
			if done.stdout != "" {
				t.Errorf("on stdout: %s", done.stdout)
			}
			if strings.Contains(done.stderr, "hunter2") {
				t.Errorf("a secret on stderr: %s", done.stderr)
			}
			lines := done.lines()
			if len(lines) != len(c.want) {
				t.Errorf("%d lines, want %d:\n%s", len(lines), len(c.want), done.stderr)
			}
			for _, want := range c.want {
				found := 0
				for _, line := range lines {
					if strings.HasPrefix(line, "worker: ") && strings.Contains(line, want) {
						found++
					}
				}
				if found == 0 {
					t.Errorf("no line names %s:\n%s", want, done.stderr)
				}
			}
		})
	}
}

// A check tells what would not work, a clear line each, and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*world)
		code    int
		broken  []string // a line each, with these words
		says    []string // elsewhere
	}{
		{"healthy", func(w *world) { w.ensure() }, 0, nil, []string{"ok       clevertap: the account and the passcode are accepted", "ok       clevertap: not held", "ok       courier"}},
		{"a broker that is not there", func(w *world) { w.set("NATS_URL=nats://" + nobody) }, 1,
			[]string{"NATS_URL: nats://" + nobody + ": connection refused"}, nil},
		{"nothing is made yet", func(*world) {}, 1,
			[]string{"stream TOKENS is missing", "stream TOKENS_DLQ is missing", "bucket TOKENS_FLEET is missing"}, nil},
		{"one stream is missing", func(w *world) { w.ensure(); w.deleteLetters() }, 1, []string{"stream TOKENS_DLQ is missing"}, nil},
		{"one stream is missing and nobody may make it", func(w *world) { w.ensure(); w.deleteLetters(); w.set("NATS_PROVISION=false") }, 1,
			[]string{"stream TOKENS_DLQ is missing"}, nil},
		{"a wrong passcode", func(w *world) { w.ensure(); w.set("CLEVERTAP_PASSCODE=hunter2") }, 1, []string{"CLEVERTAP_PASSCODE"}, nil},
		{"a consumer that strands messages", func(w *world) {
			w.ensure()
			config := w.consumer(event.Courier).Config
			config.MaxDeliver = 3
			if _, err := w.broker.JS.UpdateConsumer(w.t.Context(), consumer.EventsStream, config); err != nil {
				w.t.Fatal(err)
			}
		}, 1, []string{"consumer courier of TOKENS: max deliver is 3"}, nil},
		{"a provider that is held", func(w *world) {
			w.set("HOLD_MIN=1h", "HOLD_MAX=1h")
			w.fault(event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: 401})
			p := w.start()
			w.put(registration(1))
			eventually(w.t, "held", func() bool { return p.metrics().held(w.t, event.Courier) != "" })
		}, 0, nil, []string{"warning  courier: held since", "unauthorized", "worker resume courier"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.prepare(w)
			done := runWorker(t, w.environment(), "check")
			if done.code != c.code {
				t.Errorf("exit %d, want %d\n%s%s", done.code, c.code, done.stdout, done.stderr)
			}
			if strings.Contains(done.stdout+done.stderr, "hunter2") {
				t.Errorf("a secret is shown:\n%s%s", done.stdout, done.stderr)
			}
			var broken []string
			for line := range strings.Lines(done.stdout) {
				if strings.HasPrefix(line, "broken ") {
					broken = append(broken, line)
				}
			}
			if len(broken) != len(c.broken) {
				t.Errorf("%d broken lines, want %d:\n%s", len(broken), len(c.broken), done.stdout)
			}
			for _, want := range c.broken {
				if !strings.Contains(strings.Join(broken, ""), want) {
					t.Errorf("no broken line says %q:\n%s", want, done.stdout)
				}
			}
			for _, want := range c.says {
				if !strings.Contains(done.stdout, want) {
					t.Errorf("no line says %q:\n%s", want, done.stdout)
				}
			}
			if c.code != 0 && len(done.lines()) != 1 {
				t.Errorf("stderr is not one line: %q", done.stderr)
			}
		})
	}
}

// Without provisioning nothing is made; what is missing is one error each.
func TestNoProvisioning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "NATS_PROVISION=false")
	done := runWorker(t, w.environment(), "run")
	if done.code != 1 {
		t.Errorf("exit %d, want 1", done.code)
	}
	for _, want := range []string{"stream TOKENS is missing", "stream TOKENS_DLQ is missing", "bucket TOKENS_FLEET is missing"} {
		if strings.Count(done.stderr, want) != 1 {
			t.Errorf("stderr does not say once %q:\n%s", want, done.stderr)
		}
	}
	if _, err := w.broker.JS.Stream(t.Context(), consumer.EventsStream); err == nil {
		t.Error("the stream was made")
	}
	w.ensure()
	w.start()
	w.put(registration(1))
	w.settled()
	w.delivered(event.CleverTap, token(1))
}
