package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	const wrong = "which is neither a program's path nor one's name on the PATH"
	for _, test := range []struct {
		name   string
		chrome string
		there  string // programs on the PATH, and paths
		root   bool
		brings string // what apt-get installs
		breaks string // the apt-get command that fails

		path  string
		err   string // a part of it
		calls int    // of apt-get
	}{
		{name: "the first of its names", there: "chrome google-chrome chromium", path: "/bin/chromium"},
		{name: "Debian's old name", there: "headless-shell chromium-browser", path: "/bin/chromium-browser"},
		{name: "Google's", there: "google-chrome-stable google-chrome", path: "/bin/google-chrome"},
		{name: "the last name", there: "headless-shell", path: "/bin/headless-shell"},
		{name: "CHROME first, by name", chrome: "my-chrome", there: "my-chrome chromium", path: "/bin/my-chrome"},
		{name: "CHROME first, by path", chrome: "/opt/chrome", there: "/opt/chrome chromium", path: "/opt/chrome"},
		{name: "a wrong CHROME hides no other", chrome: "/opt/chrom", there: "chromium apt-get", root: true, err: `CHROME is "/opt/chrom", ` + wrong},
		{name: "nobody may install", there: "apt-get", err: none},
		{name: "root has no apt-get", root: true, err: none},
		{name: "root installs", there: "apt-get", root: true, brings: "chromium", path: "/bin/chromium", calls: 2},
		{name: "no list of packages", there: "apt-get", root: true, brings: "chromium", breaks: "update", err: none + "; apt-get update: exit status 100: E: it broke", calls: 1},
		{name: "no package", there: "apt-get", root: true, breaks: "install", err: "install -y --no-install-recommends chromium: exit status 100: E: it broke", calls: 2},
		{name: "an empty package", there: "apt-get", root: true, err: "which brought none", calls: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			there, calls := strings.Fields(test.there), 0
			aptGet := fakeAptGet(t)
			path, err := find(t.Context(), machine{
				chrome: test.chrome,
				root:   test.root,
				look: func(name string) (string, error) {
					switch {
					case !slices.Contains(there, name):
						return "", exec.ErrNotFound
					case name == "apt-get":
						return aptGet, nil
					case filepath.IsAbs(name):
						return name, nil
					}
					return "/bin/" + name, nil
				},
				run: func(_ context.Context, name string, args ...string) (string, error) {
					calls++
					if name != aptGet {
						t.Errorf("runs %s", name)
					}
					if test.breaks != "" && slices.Contains(args, test.breaks) {
						return "Reading...\nE: it broke\n", errors.New("exit status 100")
					}
					if slices.Contains(args, "install") {
						there = append(there, test.brings)
					}
					return "done\n", nil
				},
			})
			if path != test.path {
				t.Errorf("found %q, not %q", path, test.path)
			}
			switch {
			case test.err == "" && err != nil:
				t.Errorf("failed: %v", err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("the error is %v, not %s", err, test.err)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("the error has several lines: %v", err)
			}
			if calls != test.calls {
				t.Errorf("apt-get ran %d times, not %d", calls, test.calls)
			}
		})
	}
}

// Several packages' tests may find at once that there is no browser.
func TestOnlyOneInstalls(t *testing.T) {
	t.Parallel()
	aptGet := fakeAptGet(t)
	var installs atomic.Int32
	type answer struct {
		path string
		err  error
	}
	inside := make(chan struct{}, 1)
	answers := make(chan answer)
	for range 4 {
		go func() {
			path, err := install(t.Context(), machine{
				look: func(name string) (string, error) {
					if installs.Load() == 0 {
						return "", exec.ErrNotFound
					}
					return "/bin/" + name, nil
				},
				run: func(_ context.Context, _ string, args ...string) (string, error) {
					select {
					case inside <- struct{}{}:
					default:
						t.Error("two run apt-get at once")
						return "", nil
					}
					if slices.Contains(args, "install") {
						installs.Add(1)
					}
					<-inside
					return "", nil
				},
			}, aptGet)
			answers <- answer{path, err}
		}()
	}
	for range 4 {
		if a := <-answers; a.err != nil || a.path != "/bin/chromium" {
			t.Errorf("found %q, %v", a.path, a.err)
		}
	}
	if installs.Load() != 1 {
		t.Errorf("installed %d times", installs.Load())
	}
}

func TestWhoWaitsForTheInstallerGivesUp(t *testing.T) {
	t.Parallel()
	aptGet := fakeAptGet(t)
	unlock, err := lock(t.Context(), aptGet)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = install(ctx, machine{}, aptGet)
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), none) {
		t.Errorf("the error is %v", err)
	}
}

// fakeAptGet is a file for its lock.
func fakeAptGet(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "apt-get")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
