package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// What a machine without a browser is told.
const none = "no Chrome or Chromium: install one (Debian: apt-get install chromium) or set CHROME to its path"

// The longest that an installation may take, the wait for that of another
// process included.
const installPatience = 5 * time.Minute

// machine is what the search for a browser asks of the world.
type machine struct {
	chrome string // the variable CHROME, "" when it is not set
	root   bool   // may packages be installed?

	// look is exec.LookPath.
	look func(name string) (path string, err error)
	// run runs a command with DEBIAN_FRONTEND=noninteractive; what it printed
	// comes back also with an error.
	run func(ctx context.Context, name string, args ...string) (output string, err error)
}

// find is the path of a browser: what CHROME names, or the first one on the
// PATH. Only when there is none at all, Debian's is installed, where that is
// possible. The error is one line for a person.
func find(ctx context.Context, m machine) (string, error) {
	if m.chrome != "" {
		path, err := m.look(m.chrome)
		if err != nil {
			return "", fmt.Errorf("CHROME is %q, which is neither a program's path nor one's name on the PATH", m.chrome)
		}
		return path, nil
	}
	if path, ok := installed(m.look); ok {
		return path, nil
	}
	aptGet, err := m.look("apt-get")
	if !m.root || err != nil {
		return "", errors.New(none)
	}
	return install(ctx, m, aptGet)
}

func installed(look func(string) (string, error)) (string, bool) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if path, err := look(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// install installs Debian's browser, unless another process has done so
// meanwhile: the tests of several packages may find at once that there is none.
func install(ctx context.Context, m machine, aptGet string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, installPatience)
	defer cancel()
	unlock, err := lock(ctx, aptGet)
	if err != nil {
		return "", fmt.Errorf("%s; waiting for who installs one: %w", none, err)
	}
	defer unlock()
	if path, ok := installed(m.look); ok {
		return path, nil
	}
	for _, args := range [][]string{
		{"update"},
		{"-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", "chromium"},
	} {
		if output, err := m.run(ctx, aptGet, args...); err != nil {
			return "", fmt.Errorf("%s; apt-get %s: %w: %s", none, strings.Join(args, " "), err, lastLine(output))
		}
	}
	if path, ok := installed(m.look); ok {
		return path, nil
	}
	return "", fmt.Errorf("%s; apt-get installed its package chromium, which brought none", none)
}

// lock waits until no other process, nor another test of this one, holds the
// file's lock. It locks the program that must not run twice, so that no file
// must be made for it.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
