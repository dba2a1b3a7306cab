package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child whose costs are measured.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and everything below is set
	err   error
	peak  int64 // KiB
}

// peakEvery is how often the high-water mark is read. It only rises, so all
// that a reading can miss is what is added in the last of these.
const peakEvery = 10 * time.Millisecond

func startProcess(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go p.watch()
	return p, nil
}

// watch reads the high-water mark until the process ends.
func (p *process) watch() {
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()
	ticker := time.NewTicker(peakEvery)
	defer ticker.Stop()
	for {
		select {
		case p.err = <-waited:
			close(p.ended)
			return
		case <-ticker.C:
			if peak, err := readPeak(p.cmd.Process.Pid); err == nil {
				p.peak = peak
			}
		}
	}
}

// stop ends the process in order and says what it cost.
func (p *process) stop(ctx context.Context) (cpu time.Duration, peak int64, err error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, 0, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		<-p.ended // the command's context kills it
	}
	if p.err != nil {
		return 0, 0, p.err
	}
	state := p.cmd.ProcessState
	return state.UserTime() + state.SystemTime(), p.peak, nil
}

// kill ends the process if it has not ended yet.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // refused when it has ended, which is what is wanted
	<-p.ended
}

// readPeak is VmHWM in KiB. The resource usage that wait gives will not do: it
// counts what the parent had resident when it forked.
func readPeak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(status))
}

func parsePeak(status string) (int64, error) {
	_, rest, found := strings.Cut(status, "\nVmHWM:")
	if !found {
		return 0, errors.New("no VmHWM: the process has ended")
	}
	line, _, _ := strings.Cut(rest, "\n")
	number, unit, _ := strings.Cut(strings.TrimSpace(line), " ")
	if unit != "kB" {
		return 0, fmt.Errorf("VmHWM in %q, want kB", unit)
	}
	return strconv.ParseInt(number, 10, 64)
}
