package e2e_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryCommandTellsItsVersion(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`^[a-z]+ \S+ \(revision \S+, go1\.\S+\)\n$`)
	for _, command := range []string{"worker", "publisher", "dlq", "sandbox", "demo"} {
		done := runCommand(t, command, nil, "--version")
		if done.code != 0 || !version.MatchString(done.stdout) || !strings.HasPrefix(done.stdout, command+" ") || done.stderr != "" {
			t.Errorf("%s --version: exit %d, %q %q", command, done.code, done.stdout, done.stderr)
		}
	}
}

// A health check that runs beside the worker asks where the worker listens.
func TestHealth(t *testing.T) {
	t.Parallel()
	if done := runWorker(t, []string{"HTTP_ADDR=" + nobody}, "health"); done.code != 1 || len(done.lines()) != 1 || !strings.Contains(done.stderr, "connection refused") {
		t.Errorf("nobody there: exit %d, %q", done.code, done.stderr)
	}
	if done := runWorker(t, []string{"HTTP_ADDR=8080"}, "health"); done.code != 2 || !strings.Contains(done.stderr, "HTTP_ADDR") {
		t.Errorf("a wrong address: exit %d, %q", done.code, done.stderr)
	}

	// Without a broker it lives and is not ready.
	pod := startWorker(t, []string{"NATS_URL=nats://" + nobody, "COURIER_API_KEY=k", "HTTP_ADDR=127.0.0.1:0"}, "run")
	eventually(t, "it listens", func() bool { return len(pod.stderr.with("worker starts")) == 1 })
	there := []string{"HTTP_ADDR=" + pod.address()}
	if done := runWorker(t, there, "health"); done.code != 0 || done.stdout != "ok\n" {
		t.Errorf("alive: exit %d, %q %q", done.code, done.stdout, done.stderr)
	}
	if done := runWorker(t, there, "health", "--ready"); done.code != 1 || !strings.Contains(done.stderr, "503") {
		t.Errorf("not ready: exit %d, %q", done.code, done.stderr)
	}
}

// The console and the sandbox are asked the same way, each by its own command.
func TestHealthOfTheOtherServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	for command, asked := range map[string]struct {
		serve, ask []string
		says       string // with the address that it listens on
	}{
		"dlq":     {[]string{"console", "--nats-url", w.broker.URL(), "--console-addr", "127.0.0.1:0"}, []string{"health", "--console-addr"}, "console: http://"},
		"sandbox": {[]string{"--addr", "127.0.0.1:0"}, []string{"--health", "--addr"}, "CleverTap and Courier at http://"},
	} {
		served := startCommand(t, command, nil, asked.serve...)
		eventually(t, command+" says where it is", func() bool { return len(served.stdout.with(asked.says)) == 1 })
		_, address, _ := strings.Cut(served.stdout.with(asked.says)[0], "http://")
		address, _, _ = strings.Cut(strings.TrimRight(address, "/"), ",")
		ask := slices.Concat(asked.ask, []string{address})
		if done := runCommand(t, command, nil, ask...); done.code != 0 || done.stdout != "ok\n" {
			t.Errorf("%s %q: exit %d, %q %q", command, ask, done.code, done.stdout, done.stderr)
		}
		served.kill()
		if done := runCommand(t, command, nil, ask...); done.code != 1 || len(done.lines()) != 1 || !strings.Contains(done.stderr, "connection refused") {
			t.Errorf("%s %q, where nobody is: exit %d, %q", command, ask, done.code, done.stderr)
		}
	}
}
