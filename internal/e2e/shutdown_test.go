package e2e_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// hanging is a worker with a call open that will not be answered.
func (w *world) hanging() *process {
	w.t.Helper()
	w.fault(event.CleverTap, sandbox.Rule{Effect: sandbox.Hang})
	w.ensure()
	w.put(registrations(0, 10)...)
	worker := startWorker(w.t, w.environment(), "run")
	eventually(w.t, "a call hangs", func() bool { return w.report(event.CleverTap).Open > 0 })
	return worker
}

// When SHUTDOWN_GRACE is over, open calls are cut off: the worker says so, and
// their events come again, at once.
func TestGraceIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "HTTP_TIMEOUT=1m", "PERMIT_LEASE=1h", "SHUTDOWN_GRACE=200ms", "PROVIDERS=clevertap")
	worker := w.hanging()
	if code := worker.terminate(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if lines := worker.stderr.with("worker: SHUTDOWN_GRACE"); len(lines) != 1 {
		t.Errorf("it does not say in one line why:\n%s", worker.stderr.tail(5))
	}
	w.fault(event.CleverTap)
	w.start()
	w.settled(event.CleverTap)
	w.delivered(event.CleverTap, tokens(0, 10)...)
	w.noLetters()
}

// A second signal means now.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "HTTP_TIMEOUT=5m", "PERMIT_LEASE=1h", "SHUTDOWN_GRACE=1h", "PROVIDERS=clevertap")
	worker := w.hanging()
	address := worker.address()
	if err := worker.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it drains", func() bool { return strings.Contains(fetch(t, "http://"+address+"/readyz"), "draining") })
	eventually(t, "a later signal ends it at once", func() bool {
		_ = worker.cmd.Process.Signal(syscall.SIGTERM) // fails once it is gone
		select {
		case <-worker.ended:
			return true
		default:
			return false
		}
	})
	if status := worker.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		t.Errorf("it ended by itself: %v", status)
	}
}

// A process group is told twice, by its parent and by itself: that is one
// signal. The open call is waited for, and its batch is not sent again.
func TestOneSignalToldTwice(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]syscall.Signal{"SIGTERM twice": syscall.SIGTERM, "SIGTERM and Ctrl-C": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=clevertap", "HTTP_TIMEOUT=1m", "PERMIT_LEASE=1h", "SHUTDOWN_GRACE=1h")
			worker := w.hanging()
			for _, signal := range []syscall.Signal{syscall.SIGTERM, second, second} {
				if err := worker.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Millisecond) // as reported; the kernel makes one of two that are pending
			}
			w.fault(event.CleverTap)
			<-worker.ended
			if code := worker.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("%v, want exit 0", worker.cmd.ProcessState)
			}
			if len(worker.stderr.with("worker ended")) != 1 {
				t.Error("it did not end in order")
			}
			w.delivered(event.CleverTap, tokens(0, 10)...)
			w.settled(event.CleverTap)
		})
	}
}
