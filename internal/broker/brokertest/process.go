package brokertest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker"
)

// Set in the environment of a test binary that is to be a server.
const (
	dirVariable  = "BROKERTEST_DIR"
	addrVariable = "BROKERTEST_ADDR"
)

// Process is a server in a process of its own, which can be killed for real
// and whose CPU time is not the test's.
type Process struct {
	t     testing.TB
	dir   string
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

// ServeIfAsked turns this test binary into a server when StartProcess asked
// for one; it then never returns. TestMain calls it first.
func ServeIfAsked() {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		return
	}
	b, err := broker.Start(broker.Settings{Dir: dir, Addr: os.Getenv(addrVariable)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(b.URL())
	// The end of stdin is the order to stop, and comes by itself when the test
	// dies.
	_, _ = io.Copy(io.Discard, os.Stdin)
	b.Stop()
	os.Exit(0)
}

// StartProcess runs a server in a folder of the test, until the test ends.
func StartProcess(t testing.TB) *Process {
	t.Helper()
	p := &Process{t: t, dir: filepath.Join(t.TempDir(), "jetstream"), addr: "127.0.0.1:0"}
	p.Start()
	t.Cleanup(p.Kill)
	return p
}

// URL is where clients connect, the same after a restart.
func (p *Process) URL() string { return "nats://" + p.addr }

// Start starts a killed server again.
func (p *Process) Start() {
	p.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirVariable+"="+p.dir, addrVariable+"="+p.addr)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start server process: %v", err)
	}
	p.cmd, p.stdin = cmd, stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.t.Fatalf("server process did not say where it listens: %v", err)
	}
	p.addr = strings.TrimPrefix(strings.TrimSpace(line), "nats://")
}

// Kill ends the server with SIGKILL.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	// Both fail only for a process that is gone, which is what is wanted.
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.stdin.Close()
	p.cmd = nil
}

// Wipe empties the folder of a killed server: its disk is gone.
func (p *Process) Wipe() {
	p.t.Helper()
	if err := os.RemoveAll(p.dir); err != nil {
		p.t.Fatal(err)
	}
}
