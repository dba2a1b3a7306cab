package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// until polls the broker, which gives no signal, until a condition holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) count(t testing.TB) int {
	t.Helper()
	info, err := w.stream.Info(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.State.Msgs)
}

// withBad is an input in which every hundredth line is a bad one; it holds
// the events 1 to n.
func withBad(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i += 99 {
		b.WriteString(jsonLines(i, min(i+98, n)))
		b.WriteString("SECRET not JSON\n")
	}
	return b.String()
}

// rejectedOnce checks that every bad line of withBad is in the reject file, in
// order and once.
func (w *world) rejectedOnce(t testing.TB, name, input string) {
	t.Helper()
	var want, got []string
	for i, l := range strings.Split(input, "\n") {
		if strings.HasSuffix(l, "not JSON") {
			want = append(want, fmt.Sprintf(`"line":%d`, i+1))
		}
	}
	got = regexp.MustCompile(`"line":\d+`).FindAllString(w.read(t, name), -1)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d rejected lines, want %d: %v", len(got), len(want), got)
	}
}

// kill starts the program, kills it -9 when the stream holds so many messages,
// and returns what it had printed.
func (w *world) kill(t testing.TB, at int, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NATS_URL="+w.URL())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, fmt.Sprintf("%d messages", at), func() bool { return w.count(t) >= at })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		t.Fatalf("it ended before it was killed:\n%s", out.String())
	}
	return out.String()
}

func TestImportKilledAndRunAgain(t *testing.T) {
	t.Parallel()
	const events = 30_000
	for name, window := range map[string]time.Duration{
		"within the duplicate window": time.Hour,
		"after the duplicate window":  100 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *jetstream.StreamConfig) { c.Duplicates = window })
			input := withBad(events)
			file := w.write(t, "events.jsonl", input)
			for _, at := range []int{1500, 8000, 15_000} {
				w.kill(t, at, "import", "--rate=10000", file)
				if window < time.Hour {
					w.forget(t)
				}
			}
			w.run(bounded(t), "", "import", file).want(t, 1, "going on after line", "imported: 30000 events stored", ", 304 bad lines")
			w.once(t, events)
			w.rejectedOnce(t, "events.jsonl.rejects", input)
		})
	}
}

// forget waits until the stream has forgotten every message id it has seen. The
// import itself publishes on another subject.
func (w *world) forget(t *testing.T) {
	t.Helper()
	known := func(id string) bool {
		m := nats.NewMsg("tokens.registered.courier")
		m.Header.Set(jetstream.MsgIDHeader, id)
		ack, err := w.JS.PublishMsg(bounded(t), m)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Duplicate
	}
	id := fmt.Sprint("probe ", w.count(t))
	known(id) // stored now, and so forgotten last
	until(t, "the ids are forgotten", func() bool { return !known(id) })
	if err := w.stream.Purge(bounded(t), jetstream.WithPurgeSubject("tokens.registered.courier")); err != nil {
		t.Fatal(err)
	}
}

func TestImportStoppedAndRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	input := withBad(5000)
	file := w.write(t, "events.jsonl", input)
	ctx, stop := context.WithCancel(bounded(t))
	ended := make(chan ran)
	go func() { ended <- w.run(ctx, "", "import", "--rate=5000", file) }()
	until(t, "some are stored", func() bool { return w.count(t) > 500 })
	stop()
	r := <-ended
	r.want(t, 1, "publisher: stopped after line ", "run the same command again to go on")
	// A clean stop leaves nothing in doubt.
	stored := w.count(t)
	if !strings.Contains(r.stderr, fmt.Sprintf("(%d events stored)", stored)) {
		t.Errorf("%d stored, but: %s", stored, r.stderr)
	}
	w.run(bounded(t), "", "import", file).want(t, 1,
		"; 0 events after it are stored already", "imported: 5000 events stored, 51 bad lines")
	w.once(t, 5000)
	w.rejectedOnce(t, "events.jsonl.rejects", input)
}

func TestImportOfAFileThatGrew(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"complete lines":          jsonLines(1, 10),
		"without the last end":    strings.TrimSuffix(jsonLines(1, 10), "\n"),
		"without, then with CRLF": strings.ReplaceAll(strings.TrimSuffix(jsonLines(1, 10), "\n"), "\n", "\r\n"),
		"empty":                   "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			file := w.write(t, "events.jsonl", first)
			w.run(bounded(t), "", "import", file).want(t, 0, "imported: ")
			eol := "\n"
			if strings.Contains(first, "\r") {
				eol = "\r\n"
			}
			more := strings.ReplaceAll(jsonLines(1, 20), "\n", eol)
			if !strings.HasPrefix(more, first) {
				t.Fatal("the test's own input has changed")
			}
			w.write(t, "events.jsonl", more)
			w.run(bounded(t), "", "import", file).want(t, 0, "imported: 20 events stored, 0 bad lines; 20 lines in all")
			w.once(t, 20)
		})
	}
}

func TestImportOfAFileThatChanged(t *testing.T) {
	t.Parallel()
	before := strings.TrimSuffix(jsonLines(1, 10), "\n")
	for name, after := range map[string]string{
		"another line":         strings.Replace(before, "token-3", "token-X", 1),
		"shorter":              before[:len(before)-5],
		"the last line longer": before + " ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			file := w.write(t, "events.jsonl", before)
			w.run(bounded(t), "", "import", file).want(t, 0)
			w.write(t, "events.jsonl", after)
			w.run(bounded(t), "", "import", file).want(t, 1, "the input is not the one that was begun; delete "+file+".progress")
			w.once(t, 10)
		})
	}
}

func TestImportGoesOnWhenTheStreamHasRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 })
	file := w.write(t, "events.jsonl", jsonLines(1, 3000))
	r := w.run(bounded(t), "", "import", file)
	r.want(t, 1, "publisher: line 1001: refused by the stream: the stream is full: maximum messages exceeded (10077)\n",
		"publisher: stopped after line 1000 (1000 events stored); run the same command again to go on")
	config := w.stream.CachedInfo().Config
	config.MaxMsgs = -1
	if _, err := w.JS.UpdateStream(bounded(t), config); err != nil {
		t.Fatal(err)
	}
	w.run(bounded(t), "", "import", file).want(t, 0, "imported: 3000 events stored")
	w.once(t, 3000)
}

func TestImportOverARestartOfTheBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.write(t, "events.jsonl", jsonLines(1, 20_000))
	ended := make(chan ran)
	go func() { ended <- w.run(bounded(t), "", "import", "--rate=20000", file) }()
	until(t, "some are stored", func() bool { return w.count(t) > 2000 })
	if err := w.Restart(); err != nil {
		t.Fatal(err)
	}
	(<-ended).want(t, 0, "connection to NATS lost", "connection to NATS is back", "; 20000 lines in all")
	w.once(t, 20_000)
}

func TestImportOnlyOnceAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.write(t, "events.jsonl", jsonLines(1, 1000))
	ctx, stop := context.WithCancel(bounded(t))
	ended := make(chan ran)
	go func() { ended <- w.run(ctx, "", "import", "--rate=100", file) }()
	until(t, "it has begun", func() bool { return w.count(t) > 0 })
	w.run(bounded(t), "", "import", file).want(t, 1, "another import of it is running")
	stop()
	(<-ended).want(t, 1, "stopped after line")
}

func TestImportRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.write(t, "events.jsonl", jsonLines(1, 60))
	begin := time.Now()
	w.run(bounded(t), "", "import", "--rate=100", file).want(t, 0, "imported: 60 events stored")
	// 6 may go at once; it can be slower for many reasons, but never faster.
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("60 events at 100 a second took %s", took)
	}
}
