package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child of ours.
type process struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when it has ended and err is set
	err   error
}

// nursery starts children, all from one thread: on Linux they die with the
// thread that started them, so that none outlives even a killed harness.
type nursery struct {
	orders chan func()
}

func newNursery() *nursery {
	n := &nursery{orders: make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		for order := range n.orders {
			order()
		}
	}()
	return n
}

// close may only be called when every child has ended.
func (n *nursery) close() { close(n.orders) }

// start runs a command whose output goes to the end of a file.
func (n *nursery) start(logPath string, env []string, binary string, args ...string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	cmd.SysProcAttr = childAttributes()
	started := make(chan error, 1)
	n.orders <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		_ = log.Close() // nothing of ours was written to it
		close(p.ended)
	}()
	return p, nil
}

// signal is refused when the process has ended.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends it at once, a stopped one too, and waits for the end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // refused when it has ended, which is what is wanted
	<-p.ended
}

var errLate = errors.New("it did not end")

// term asks it to end and kills it when it does not within the time.
func (p *process) term(within time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.kill()
		return fmt.Errorf("%w within %s of SIGTERM", errLate, within)
	}
}
