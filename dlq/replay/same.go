package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Who may publish may give an event any Dlq-Id and any message id, so neither
// proves that a letter was replayed. The event itself does.

// carries reports whether an event with that history is the letter's own, as it
// is or with the changes that the history notes.
func carries(l *dlq.Stored, history []dlq.Death, body []byte) bool {
	return bytes.Equal(l.Body, body) || sameBut(l.Body, body, editedSince(l, history))
}

// editedSince lists the fields that were changed after the letter's death, by a
// history that goes on from the letter's own; none when it does not.
func editedSince(l *dlq.Stored, history []dlq.Death) []string {
	own := deaths(l)
	is := func(a, b dlq.Death) bool { return a.Code == b.Code && a.At.Equal(b.At) }
	for i := range slices.Backward(history) {
		goesOn := i >= len(own)-1 || len(history) >= len(own) // a full one is cut off at its beginning
		for back := 0; back < len(own) && back <= i && goesOn; back++ {
			goesOn = is(own[len(own)-1-back], history[i-back])
		}
		if !goesOn {
			continue
		}
		var edited []string
		for _, d := range history[i:] {
			edited = append(edited, d.Edited...)
		}
		return edited
	}
	return nil
}

// sameBut reports whether two events differ in nothing but these fields.
func sameBut(before, after []byte, fields []string) bool {
	if slices.Contains(fields, "event") { // all of it was changed
		return true
	}
	old, errOld := readObject(before)
	now, errNow := readObject(after)
	if len(fields) == 0 || errOld != nil || errNow != nil {
		return false
	}
	for _, field := range fields {
		outer, _, _ := strings.Cut(field, ".")
		old, now = old.with(outer, nil), now.with(outer, nil)
	}
	return same(old.encode(), now.encode())
}

// isEdited reports whether a history notes any change.
func isEdited(history []dlq.Death) bool {
	return slices.ContainsFunc(history, func(d dlq.Death) bool { return len(d.Edited) > 0 })
}

// historyOf reads the history that a replay carries; none where it cannot be
// read.
func historyOf(h nats.Header) []dlq.Death {
	var history []dlq.Death
	if json.Unmarshal([]byte(h.Get(dlq.HeaderHistory)), &history) != nil {
		return nil
	}
	return history
}

// isNext reports whether a message's headers are those of the replay of a letter
// that came so far: not of its own first appearance, whatever its message id
// says. So of what is removed something later always remains.
func isNext(h nats.Header, generation, trials int) bool {
	next, err := strconv.Atoi(h.Get(dlq.HeaderGeneration))
	if err != nil || next != generation+1 {
		return false
	}
	text := h.Get(dlq.HeaderTrials)
	trial, err := strconv.Atoi(text)
	return text == "" || err == nil && trial == trials+1
}

// A replay whose message id is taken by another event goes under one that says
// what it carries, so that every run uses the same. Ids of letters end before
// the generation, so the mark cannot be a part of one.
const mark = "/"

func marked(id string, l *dlq.Stored) string {
	sum := sha256.Sum256(append([]byte(l.Provider+"\x00"), l.Body...))
	return id + mark + hex.EncodeToString(sum[:8])
}

// unmarked is the message id that the replay of a letter would have first.
func unmarked(id, letter string) string {
	prefix := "replay:" + letter + ":"
	rest, ours := strings.CutPrefix(id, prefix)
	if !ours {
		return id
	}
	attempt, _, _ := strings.Cut(rest, mark)
	return prefix + attempt
}
