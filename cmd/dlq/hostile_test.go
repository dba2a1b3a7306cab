package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// What a letter says never speaks to the terminal, nor to the shell into which
// a line is copied.
func TestLettersSpeakToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hostile := nats.NewMsg("tokens.dlq.cle\x1b[31mvertap.53\x1b[2J1")
	hostile.Data = []byte(`{"token":"t\u009b","user_id":"u` + "\u202e" + `"}`)
	hostile.Header.Set(dlq.HeaderID, "x; touch /tmp/$(id) '\u009b")
	hostile.Header.Set("Dlq-Reason", "red \x1b[31m \u202e reason")
	if _, err := w.Broker.JS.PublishMsg(t.Context(), hostile); err != nil {
		t.Fatal(err)
	}
	broken := nats.NewMsg("tokens.dlq.courier.http_400")
	broken.Header.Set(dlq.HeaderID, "no \xff text")
	if _, err := w.Broker.JS.PublishMsg(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	id := w.letters()[0].ID
	for _, args := range [][]string{
		{"list", "--reveal"}, {"list", "--json", "--reveal"}, {"groups"}, {"groups", "--json"}, {"show", "--reveal", id},
		{"replay", "--all", "--dry-run"}, {"replay", "--all", "--yes", "--wait", "10ms", "--trial", "0"}, {"purge", "--all"},
	} {
		done := w.dlq("", args...)
		for _, r := range done.out + done.errors {
			if r != '\n' && (r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x202e) {
				t.Errorf("%v prints %U:\n%q", args, r, done.out+done.errors)
				break
			}
		}
	}
	w.dlq("", "list", "--json").want(t, 0)
	w.dlq("", "groups").want(t, 0, `dlq show 'x; touch /tmp/$(id) '\''?'`)
}

// Others remove the newest letters while the question stands: what was shown is
// what goes, and nothing older instead.
func TestPurgeRemovesWhatItShowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead("old-1", "old-2", "old-3")
	w.dead("new-1", "new-2")
	answer := func() string {
		w.dlq("new-1\n", "purge", "--token", "-", "--yes").want(t, 0, "1 letter removed")
		return "y\n"
	}
	w.dlqAsked(answer, "purge", "--all", "--limit", "2").want(t, 0, "1 letter removed", "1 had been removed by somebody else")
	if n := len(w.letters()); n != 3 {
		t.Errorf("%d letters left, want the three old ones", n)
	}
}

func TestPurgeOfAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead("a", "b")
	answer := func() string {
		if err := w.Broker.JS.DeleteStream(t.Context(), dlq.Stream); err != nil {
			t.Error(err)
		}
		if _, err := consumer.Ensure(t.Context(), w.Broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
			t.Error(err)
		}
		w.dead("c", "d")
		return "y\n"
	}
	w.dlqAsked(answer, "purge", "--all").want(t, 1, "made anew since the letters were counted: nothing was removed")
	if n := len(w.letters()); n != 2 {
		t.Errorf("%d letters left, want both new ones", n)
	}
}

// asked is a standard input that is read only once there is a question.
type asked struct {
	answer func() string
	rest   io.Reader
}

func (a *asked) Read(b []byte) (int, error) {
	if a.rest == nil {
		a.rest = strings.NewReader(a.answer())
	}
	return a.rest.Read(b)
}

func (w *world) dlqAsked(answer func() string, args ...string) ended {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	var out, problems strings.Builder
	code := run(ctx, args, w.Environment(), &asked{answer: answer}, &out, &problems)
	return ended{code, out.String(), problems.String()}
}

// Ctrl-C at a question ends the command, and nothing was changed.
func TestCtrlCAtAQuestion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"purge", "--all"}, {"replay", "--all"}, {"erase", "--user", "-"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.dead("a")
			in, typing := io.Pipe()
			defer func() { _ = typing.Close() }() // ends the read that is left behind
			ctx, interrupt := context.WithCancel(t.Context())
			reading := make(chan struct{})
			done := make(chan int)
			var out, problems strings.Builder
			go func() {
				done <- run(ctx, args, w.Environment(), io.MultiReader(signalling(reading), in), &out, &problems)
			}()
			<-reading
			interrupt()
			if code := <-done; code != 1 || !strings.Contains(problems.String(), "stopped") {
				t.Errorf("exit %d: %s", code, problems.String())
			}
			if n := len(w.letters()); n != 1 {
				t.Errorf("%d letters", n)
			}
		})
	}
}

// signalling is an empty beginning that tells when it is read.
type signalling chan struct{}

func (s signalling) Read([]byte) (int, error) {
	close(s)
	return 0, io.EOF
}

// Letters that come while the editor is open are not meant, and the edited ones
// go.
func TestEditMeansTheLettersThatItShowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.Worker()
	w.dead("a", "b", "c")
	come := t.TempDir() + "/editor"
	// The editor waits for a file that says that the others have come.
	if err := os.WriteFile(come, []byte("#!/bin/sh\ntouch "+come+".open\nwhile [ ! -e "+come+".go ]; do sleep 0.02; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Set("EDITOR=" + come)
	done := make(chan ended)
	go func() { done <- w.dlq("", "replay", "--all", "--limit", "2", "--edit", "--yes", "--trial", "0") }()
	brokertest.Eventually(t, "the editor is open", func() bool { _, err := os.Stat(come + ".open"); return err == nil })
	w.dead("d", "e")
	if err := os.WriteFile(come+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	(<-done).want(t, 0, "2 replayed (2 delivered), 0 left")
	w.once("b", "c")
}

func TestSmallMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead("a")
	w.dlq("", "show", "").want(t, 1, "dlq: the id is empty")
	w.dlq("", "export", "-o", "").want(t, 2, "--output")
	w.dlq("", "replay", "--code", "nosuch", "--edit", "--yes").want(t, 0, "no letters that match")
	for _, args := range [][]string{{"groups"}, {"groups", "--json"}, {"list"}, {"list", "--json"}, {"show", w.letters()[0].ID}, {"export"}, {"purge", "--all"}} {
		var problems strings.Builder
		code := run(t.Context(), args, w.Environment(), strings.NewReader(""), full{}, &problems)
		if code != 1 || !strings.Contains(problems.String(), errFull.Error()) && args[0] != "purge" {
			t.Errorf("%v to a full disk: exit %d: %s", args, code, problems.String())
		}
	}
}

func TestEditorOf(t *testing.T) {
	t.Parallel()
	for want, env := range map[string][]string{
		"vi":          {"EDITOR=  ", "VISUAL="},
		"nano":        {"EDITOR=nano", "VISUAL= "},
		"code --wait": {"VISUAL=code --wait", "EDITOR=nano"},
	} {
		if got := strings.Join(editorOf(env), " "); got != want {
			t.Errorf("%v: %s, want %s", env, got, want)
		}
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", errFull) }
