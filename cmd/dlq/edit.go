package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/event"
)

// mostEdited is how many events a person can edit without losing the thread.
const mostEdited = 50

const editMark = "# letter "

// edit lets a person change the events of the chosen letters, and makes the
// options those of exactly these letters with this change. Nothing goes that
// was not left in the file.
func edit(ctx context.Context, std streams, link *link, options *replay.Options) error {
	var letters []*dlq.Stored
	for l, err := range link.letters.Letters(ctx, options.Filter, dlq.End, dlq.Whole) {
		if err != nil {
			return err
		}
		if letters = append(letters, l); len(letters) > mostEdited {
			return fmt.Errorf("more than %d letters match: choose fewer for --edit, or change all of them with --set", mostEdited)
		}
	}
	if len(letters) == 0 {
		return nil
	}
	// Others may come while the editor is open.
	options.Filter.From, options.Filter.Through, options.Filter.Limit = letters[0].Seq, letters[len(letters)-1].Seq, 0
	text, err := editText(letters, options.Change)
	if err != nil {
		return err
	}
	for {
		if text, err = openEditor(ctx, std, text); err != nil {
			return err
		}
		bodies, problem := readEdited(text, letters)
		if problem == nil {
			options.Change = changeTo(bodies, letters)
			return nil
		}
		printf(std.err, "%v\n", problem)
		if err := confirm(ctx, std, "Edit again?"); err != nil {
			return err
		}
	}
}

// editText is what the editor shows.
func editText(letters []*dlq.Stored, change replay.Change) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# One event below each line that names its letter. Take both away to leave a letter where it is.\n")
	b.WriteString("# An event is checked before it goes; its letter's history keeps which fields were changed.\n")
	for _, l := range letters {
		body := l.Body
		if change != nil {
			changed, _, err := change(l)
			if err != nil {
				return nil, fmt.Errorf("letter %s: %w", l.ID, err)
			}
			body = changed
		}
		if !utf8.Valid(body) {
			return nil, fmt.Errorf("letter %s is no text and cannot be edited", l.ID)
		}
		fmt.Fprintf(&b, "\n%s%d: %s %s: %s\n%s\n", editMark, l.Seq, l.Provider, l.Code, printable(l.Reason), dlq.NewVeil(true).Body(body))
	}
	return b.Bytes(), nil
}

// editorOf is the person's editor and its arguments.
func editorOf(env []string) []string {
	words := []string{"vi"}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		given := strings.Fields(value)
		if name == "VISUAL" && len(given) > 0 {
			return given
		}
		if name == "EDITOR" && len(given) > 0 {
			words = given
		}
	}
	return words
}

// openEditor returns what the person has made of the text.
func openEditor(ctx context.Context, std streams, text []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "dlq-edit-") // for its owner only
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "events.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	words := editorOf(std.env)
	//nolint:gosec // the editor is the operator's own
	command := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	if terminal, ok := std.stdin.(*os.File); ok { // a copy would swallow the answers
		command.Stdin = terminal
	}
	command.Stdout, command.Stderr = std.out, std.err
	command.Env = std.env
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("editor %s: %w", words[0], err)
	}
	return os.ReadFile(file)
}

// readEdited reads the file back: the events by their letters' places.
func readEdited(text []byte, letters []*dlq.Stored) (map[uint64][]byte, error) {
	known := map[uint64]*dlq.Stored{}
	for _, l := range letters {
		known[l.Seq] = l
	}
	bodies := map[uint64][]byte{}
	var at uint64
	for line := range bytes.Lines(text) {
		if rest, marked := bytes.CutPrefix(line, []byte(editMark)); marked {
			number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(":"))
			seq, err := strconv.ParseUint(string(number), 10, 64)
			if err != nil || known[seq] == nil {
				return nil, fmt.Errorf("the line %q names a letter that was not in the file", strings.TrimSpace(string(line)))
			}
			if bodies[seq] != nil {
				return nil, fmt.Errorf("the line %q names a letter that stands there twice; once is allowed", strings.TrimSpace(string(line)))
			}
			at = seq
			bodies[at] = []byte{}
		} else if at != 0 && !bytes.HasPrefix(line, []byte("#")) {
			bodies[at] = append(bodies[at], line...)
		}
	}
	if len(bodies) == 0 {
		return nil, errors.New("no letter is left in the file")
	}
	for seq, body := range bodies {
		bodies[seq] = bytes.TrimSpace(body)
		ev, err := event.Decode(bodies[seq])
		if err == nil {
			_, err = ev.RouteOnly(known[seq].Provider)
		}
		if err != nil {
			return nil, fmt.Errorf("letter %d: %w", seq, err)
		}
	}
	return bodies, nil
}

// changeTo replaces bodies; what is not among them stays where it is.
func changeTo(bodies map[uint64][]byte, edited []*dlq.Stored) replay.Change {
	return func(l *dlq.Stored) ([]byte, []string, error) {
		body, chosen := bodies[l.Seq]
		if !slices.ContainsFunc(edited, func(e *dlq.Stored) bool { return e.Seq == l.Seq && e.ID == l.ID && bytes.Equal(e.Body, l.Body) }) {
			return nil, nil, &event.Violation{Field: "event", Problem: "another letter stands in its place than the edited one"}
		}
		if !chosen {
			return nil, nil, &event.Violation{Field: "event", Problem: "it was taken out of the edited file"}
		}
		changed := replay.Differences(l.Body, body)
		if len(changed) == 0 {
			return l.Body, nil, nil
		}
		return body, changed, nil
	}
}
