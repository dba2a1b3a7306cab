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

// binary is the path of a built command.
func binary(t testing.TB, command string) string {
	t.Helper()
	binaries.once.Do(func() {
		output, err := exec.Command("go", "build", "-o", binaries.dir, "github.com/tokenrelay/tokenrelay/cmd/...").CombinedOutput()
		if err != nil {
			binaries.err = errors.New(err.Error() + ": " + string(output))
		}
	})
	if binaries.err != nil {
		t.Fatalf("build the commands: %v", binaries.err)
	}
	return filepath.Join(binaries.dir, command)
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

func runWorker(t testing.TB, env []string, args ...string) ended {
	t.Helper()
	return runCommand(t, "worker", env, args...)
}

// runCommand runs a command to its end. Nothing of this process's environment
// reaches it but what a temporary folder needs.
func runCommand(t testing.TB, command string, env []string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, command), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append([]string{"TMPDIR=" + t.TempDir()}, env...)
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		t.Fatalf("%s %q: %v", command, args, err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// process is a command that runs beside the test.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout *book
	stderr *book
	ended  chan struct{}
}

func startWorker(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return startCommand(t, "worker", env, args...)
}

func startCommand(t testing.TB, command string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary(t, command), args...), stdout: &book{}, stderr: &book{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.Env = append([]string{"TMPDIR=" + t.TempDir()}, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", command, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says it
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s%s", command, p.stdout.tail(40), p.stderr.tail(40))
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
