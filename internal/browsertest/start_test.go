package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// program is a shell script in the place of a browser.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chrome")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartTellsWhatTheBrowserPrinted(t *testing.T) {
	t.Parallel()
	path := program(t, "echo 'error while loading shared libraries: libnss3.so' >&2; exit 127")
	_, _, err := start(path, t.TempDir(), startPatience)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "libnss3.so") {
		t.Errorf("the error is %v", err)
	}
}

func TestStartGivesUpOnABrowserThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	path := program(t, "echo hello >&2; exec sleep 1000")
	_, _, err := start(path, t.TempDir(), time.Second)
	if err == nil || !strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("the error is %v", err)
	}
}

//nolint:tparallel // the end of the inner test is what the outer one looks at
func TestTheBrowserEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var pid int
	t.Run("of a browser", func(t *testing.T) {
		b := New(t)
		b.Tab(t).Eval("1")
		pid = chromedp.FromContext(b.ctx).Browser.Process().Pid
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatalf("the browser does not run: %v", err)
		}
	})
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the browser still runs: %v", err)
	}
}

func TestRunTellsWhatACommandPrinted(t *testing.T) {
	t.Parallel()
	output, err := run(t.Context(), "sh", "-c", "echo $DEBIAN_FRONTEND; echo no >&2; exit 3")
	var exit *exec.ExitError
	if output != "noninteractive\nno\n" || !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%q, %v", output, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, "sleep", "1000"); !errors.Is(err, context.Canceled) {
		t.Errorf("a command that was called off: %v", err)
	}
}
