package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// A file has its name only when it is whole, and replaces no other.
func TestNewFile(t *testing.T) {
	t.Parallel()
	const old = "what was there"
	for name, c := range map[string]struct {
		there  string // a file that is there before
		write  func(file string) error
		failed string
		left   map[string]string
	}{
		"whole":   {"", func(string) error { return nil }, "", map[string]string{"file": "a line\n"}},
		"cut off": {"", func(string) error { return errors.New("after 1 letter: stopped") }, "file was not made: after 1 letter: stopped", nil},
		"there":   {"file", func(string) error { return nil }, "file: there is such a file already", map[string]string{"file": old}},
		"of a run that was killed": {"file.part", func(string) error { return nil }, "file.part: there is such a file already: an unfinished export",
			map[string]string{"file.part": old}},
		"made by another meanwhile": {"", func(file string) error { return os.WriteFile(file, []byte(old), 0o600) }, "file: there is such a file already",
			map[string]string{"file": old}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			if c.there != "" {
				if err := os.WriteFile(filepath.Join(dir, c.there), []byte(old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := newFile(file, func(out io.Writer) error {
				if info, err := os.Stat(file + ".part"); err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
					t.Errorf("while it is written: %v, %v", info, err)
				}
				if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the name is there while it is written: %v", err)
				}
				_, err := io.WriteString(out, "a line\n")
				return errors.Join(err, c.write(file))
			})
			if (err == nil) != (c.failed == "") || err != nil && !strings.Contains(err.Error(), c.failed) {
				t.Errorf("%v, want %q", err, c.failed)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != len(c.left) {
				t.Errorf("left: %v, %v", left, err)
			}
			for name, want := range c.left {
				if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
					t.Errorf("%s: %q, %v", name, text, err)
				}
			}
		})
	}
}

// An export that fails leaves nothing of its file.
func TestExportFailsWithoutAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strict(brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.CONSUMER.MSG.NEXT.>")))
	dir := t.TempDir()
	w.dlq("", "export", "-o", filepath.Join(dir, "letters.jsonl")).want(t, 1, "dlq: the NATS user may not publish to $JS.API.CONSUMER.MSG.NEXT.")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// interrupting is an output that interrupts at its first byte.
type interrupting context.CancelFunc

func (interrupt interrupting) Write(b []byte) (int, error) {
	interrupt()
	return len(b), nil
}

// Ctrl-C tells how much was written.
func TestExportIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 { // a line each that is longer than what is written at a time
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Body: []byte(strings.Repeat("x", 50_000))})
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var problems strings.Builder
	code := run(ctx, []string{"export"}, w.Environment(), strings.NewReader(""), interrupting(interrupt), &problems)
	if got, want := problems.String(), "dlq: after 1 letter: stopped\n"; code != 1 || got != want {
		t.Errorf("exit %d: %q, want %q", code, got, want)
	}
}
