package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// binaries are the commands as they are built, once a run of the tests.
var binaries struct {
	dir  string
	once sync.Once
	err  error
}

// workerBinary is the path of the built worker.
func workerBinary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(binaries.dir, "worker")
	binaries.once.Do(func() {
		output, err := exec.Command("go", "build", "-o", path, "github.com/tokenrelay/tokenrelay/cmd/worker").CombinedOutput()
		if err != nil {
			binaries.err = errors.New(err.Error() + ": " + string(output))
		}
	})
	if binaries.err != nil {
		t.Fatalf("build the worker: %v", binaries.err)
	}
	return path
}

// ended is a command that has run to its end.
type ended struct {
	code           int
	stdout, stderr string
}

func (e ended) lines() []string {
	text := strings.TrimSpace(e.stderr)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// run runs the worker to its end. Nothing of this process's environment
// reaches it but what a temporary folder needs.
func runWorker(t testing.TB, env []string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, workerBinary(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append([]string{"TMPDIR=" + t.TempDir()}, env...)
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		t.Fatalf("worker %q: %v", args, err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// process is a worker that runs beside the test.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout *book
	stderr *book
	ended  chan struct{}
}

func startWorker(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(workerBinary(t), args...), stdout: &book{}, stderr: &book{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.Env = append([]string{"TMPDIR=" + t.TempDir()}, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start worker: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says it
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the worker's output:\n%s%s", p.stdout.tail(40), p.stderr.tail(40))
		}
	})
	return p
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only for one that is gone
	<-p.ended
}

// terminate sends SIGTERM and returns the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("SIGTERM: %v", err)
	}
	eventually(p.t, "the worker ended after SIGTERM", func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	return p.cmd.ProcessState.ExitCode()
}

// address is where the process says that it listens.
func (p *process) address() string { return p.said("http") }

// pod is its name in the fleet.
func (p *process) pod() string { return p.said("pod") }

// said is what the process told at its start.
func (p *process) said(key string) string {
	p.t.Helper()
	started := p.stderr.with("worker starts")
	if len(started) != 1 {
		p.t.Fatalf("the log has no start:\n%s", p.stderr)
	}
	_, rest, _ := strings.Cut(started[0], `"`+key+`":"`)
	value, _, found := strings.Cut(rest, `"`)
	if !found {
		p.t.Fatalf("the start does not say its %s: %s", key, started[0])
	}
	return value
}
