package reread_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/reread"
)

func word(contents [][]byte) (string, error) {
	if bytes.ContainsAny(contents[0], " \n") {
		return "", errors.New("must be a word")
	}
	return string(contents[0]), nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *reread.Value[string] {
	t.Helper()
	v, err := reread.Open([]string{"WORD_FILE"}, []string{path}, word)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "word")
	if _, err := reread.Open([]string{"WORD_FILE"}, []string{path}, word); err == nil || err.Error() != `WORD_FILE is "`+path+`", cannot be read: no such file or directory` {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "one")
	v := open(t, path)
	for _, step := range []struct {
		text    string
		problem string
		version int
		want    string
	}{
		{"one", "", 1, "one"},
		{"two", "", 2, "two"},
		{"no word", "must be a word", 2, "two"},
		{strings.Repeat("x", 1<<20+1), "cannot be read: larger than 1 MiB", 2, "two"},
		{"two", "", 2, "two"},
		{"three", "", 3, "three"},
	} {
		write(t, path, step.text)
		err := v.Reread()
		switch {
		case step.problem == "" && err != nil, step.problem != "" && (err == nil || err.Error() != `WORD_FILE is "`+path+`", `+step.problem):
			t.Errorf("%.10s: %v, want %q", step.text, err, step.problem)
		case v.Get() != step.want || v.Version() != step.version:
			t.Errorf("%.10s: %q, version %d; want %q, version %d", step.text, v.Get(), v.Version(), step.want, step.version)
		}
	}
}

// A kubelet puts a secret's files into a new folder and swaps a symbolic link to
// it: the path stays, and so may size and time.
func TestValueBehindASwappedLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "word"), text)
		next := filepath.Join(dir, "..data_tmp")
		if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1", "one")
	if err := os.Symlink(filepath.Join("..data", "word"), filepath.Join(dir, "word")); err != nil {
		t.Fatal(err)
	}
	v := open(t, filepath.Join(dir, "word"))
	swap("..2", "two")
	if err := v.Reread(); err != nil || v.Get() != "two" {
		t.Errorf("%q, %v; want two", v.Get(), err)
	}
}

// A pipe, as a shell makes it of a command, is read once: there is nothing to
// read again, and nobody may ever write to what takes a file's place.
func TestValueFromAPipe(t *testing.T) {
	t.Parallel()
	full, empty := pipe(t, "one"), pipe(t, "")
	v := open(t, full)
	if err := v.Reread(); err != nil || v.Get() != "one" {
		t.Errorf("%q, %v; want one", v.Get(), err)
	}
	path := filepath.Join(t.TempDir(), "word")
	write(t, path, "two")
	v = open(t, path)
	if err := errors.Join(os.Remove(path), os.Symlink(empty, path)); err != nil {
		t.Fatal(err)
	}
	if err := v.Reread(); err == nil || !strings.Contains(err.Error(), "cannot be read: a pipe by now") || v.Get() != "two" {
		t.Errorf("%q, %v; want two", v.Get(), err)
	}
}

// pipe is the path of one with text in it. One without text stays open to be
// written to.
func pipe(t *testing.T, text string) string {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	if text != "" {
		if _, err := to.WriteString(text); err != nil {
			t.Fatal(err)
		}
		to.Close()
	}
	return fmt.Sprintf("/dev/fd/%d", from.Fd())
}

// journal is a log that is read while it is written.
type journal struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.String()
}

func TestWatch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "word")
	write(t, path, "hunter1")
	synctest.Test(t, func(t *testing.T) {
		v := open(t, path)
		var log journal
		var told atomic.Int64
		hangup := make(chan os.Signal)
		w := &reread.Watch{Log: slog.New(slog.NewTextHandler(&log, nil)), Signals: hangup}
		w.Add(v, func() { told.Add(1) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Run(ctx); close(ended) }()
		synctest.Wait() // a look beside a write could find half of it
		later := func(text string) {
			write(t, path, text)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		lines := func(part string) int { return strings.Count(log.String(), part) }

		later("hunter2")
		if told.Load() != 1 || v.Get() != "hunter2" || lines("a file has changed and is in use") != 1 {
			t.Errorf("changed: told %d times, %q\n%s", told.Load(), v.Get(), log.String())
		}
		later("no word")
		if told.Load() != 1 || v.Get() != "hunter2" || lines("level=WARN") != 1 {
			t.Errorf("wrong for a minute: told %d times, %q\n%s", told.Load(), v.Get(), log.String())
		}
		later("hunter2")
		if told.Load() != 1 || lines("a file can be used again") != 1 {
			t.Errorf("right again: told %d times\n%s", told.Load(), log.String())
		}
		write(t, path, "hunter3")
		if err := v.Reread(); err != nil { // by who uses it
			t.Fatal(err)
		}
		hangup <- os.Interrupt
		synctest.Wait()
		if told.Load() != 2 || lines("SIGHUP") != 1 {
			t.Errorf("after the signal: told %d times\n%s", told.Load(), log.String())
		}
		if strings.Contains(log.String(), "hunter") {
			t.Errorf("the log shows a secret:\n%s", log.String())
		}
		cancel()
		<-ended
	})
}
