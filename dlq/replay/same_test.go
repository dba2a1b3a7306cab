package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// death is one at some second, with what was changed after it.
func death(second int64, edited ...string) dlq.Death {
	return dlq.Death{Code: "http_400", At: time.Unix(second, 0), Edited: edited}
}

func TestCarries(t *testing.T) {
	t.Parallel()
	const body = `{"token":"t","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`
	of := func(history ...dlq.Death) []dlq.Death { return history }
	for name, c := range map[string]struct {
		own     []dlq.Death
		history []dlq.Death
		body    string
		want    bool
	}{
		"the same":                             {of(death(1)), nil, body, true},
		"another, and no note of it":           {of(death(1)), of(death(1)), `{"token":"other"}`, false},
		"another, and no history":              {of(death(1)), nil, `{"token":"other"}`, false},
		"changed as noted":                     {of(death(1)), of(death(1, "type")), `{"token":"t","type":"apns","device":{"platform":"ios"},"properties":{"n":1}}`, true},
		"changed as noted, in a group":         {of(death(1)), of(death(1, "device.platform")), `{"token":"t","type":"fcm","device":{"platform":"web"},"properties":{"n":1}}`, true},
		"a field more":                         {of(death(1)), of(death(1, "keys")), `{"token":"t","type":"fcm","device":{"platform":"ios"},"properties":{"n":1},"keys":{"auth":"a"}}`, true},
		"laid out anew as well":                {of(death(1)), of(death(1, "type")), `{"type":"apns", "token":"t", "device":{"platform":"ios"}, "properties":{"n":1}}`, true},
		"changed in more than was noted":       {of(death(1)), of(death(1, "type")), `{"token":"u","type":"apns","device":{"platform":"ios"},"properties":{"n":1}}`, false},
		"all of it":                            {of(death(1)), of(death(1, "event")), `[]`, true},
		"in two steps":                         {of(death(1)), of(death(1, "type"), death(2, "token"), death(3)), `{"token":"u","type":"apns","device":{"platform":"ios"},"properties":{"n":1}}`, true},
		"noted before this death":              {of(death(1, "token"), death(2)), of(death(1, "token"), death(2)), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, false},
		"after this death":                     {of(death(1), death(2)), of(death(1), death(2, "token")), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, true},
		"of another letter's history":          {of(death(1)), of(death(7, "token")), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, false},
		"of one with another past":             {of(death(1), death(2)), of(death(7), death(2, "token")), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, false},
		"of one that has half of it":           {of(death(1), death(2)), of(death(2, "token")), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, false},
		"a history that is cut off":            {of(death(1), death(2), death(3)), of(death(2), death(3, "token"), death(4)), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, true},
		"no history, as a foreign letter":      {nil, of(death(9, "token")), `{"token":"u","type":"fcm","device":{"platform":"ios"},"properties":{"n":1}}`, true},
		"a number that is another in its text": {of(death(1)), of(death(1, "type")), `{"token":"t","type":"fcm","device":{"platform":"ios"},"properties":{"n":1.0}}`, false},
	} {
		l := &dlq.Stored{Code: "http_400", FailedAt: time.Unix(9, 0), History: c.own, Body: []byte(body)}
		if got := carries(l, c.history, []byte(c.body)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestIsNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header             string // generation and trials of the message
		generation, trials int    // of the letter
		want               bool
	}{
		{"1 -", 0, 0, true},
		{"1 1", 0, 0, true},
		{"1 -", 0, 3, true},
		{"1 4", 0, 3, true},
		{"1 3", 0, 3, false}, // what died as it
		{"1 -", 1, 0, false}, // also
		{"2 -", 0, 0, false},
		{"- -", 0, 0, false},
		{"x -", 0, 0, false},
		{"1 x", 0, 0, false},
	} {
		generation, trials, _ := strings.Cut(c.header, " ")
		h := nats.Header{}
		for name, value := range map[string]string{dlq.HeaderGeneration: generation, dlq.HeaderTrials: trials} {
			if value != "-" {
				h.Set(name, value)
			}
		}
		if got := isNext(h, c.generation, c.trials); got != c.want {
			t.Errorf("%s after generation %d, %d trials: %v", c.header, c.generation, c.trials, got)
		}
	}
}

func TestUnmarked(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"courier:1:2", "a/b", "replay:x:1", "x:1/0123456789abcdef"} {
		for _, attempt := range []string{"1", "3.2"} {
			id := "replay:" + letter + ":" + attempt
			other := marked(id, &dlq.Stored{Provider: event.Courier, Body: []byte("b")})
			if id == other || unmarked(other, letter) != id || unmarked(id, letter) != id {
				t.Errorf("%s: %s, unmarked %s", id, other, unmarked(other, letter))
			}
		}
	}
	a := &dlq.Stored{Provider: event.Courier, Body: []byte("b")}
	for _, b := range []*dlq.Stored{{Provider: event.CleverTap, Body: []byte("b")}, {Provider: event.Courier, Body: []byte("c")}} {
		if marked("x", a) == marked("x", b) {
			t.Errorf("%+v and %+v have the same id", a, b)
		}
	}
	if got := unmarked("login-7", "d"); got != "login-7" {
		t.Errorf("%s", got)
	}
}

// What is wrong with one letter stops no other.
func TestFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err     error
		why     Why
		problem string
		own     bool
	}{
		"a bad id":        {fmt.Errorf("publisher: invalid event: %w", &event.Violation{Field: "headers.Dlq-Id", Problem: "x"}), Malformed, "headers.Dlq-Id: x", true},
		"a bad event":     {&event.Violation{Field: "token", Problem: "x"}, Invalid, "token: x", true},
		"a bad header":    {fmt.Errorf("publisher: %w", publisher.ErrBadHeader), Unconfirmed, "a header's name is not allowed", true},
		"too large":       {fmt.Errorf("publisher: %w: 10054", publisher.ErrTooLarge), Unconfirmed, "message too large", true},
		"an expectation":  {fmt.Errorf("publisher: %w: wrong last msg ID: login-of-ann", publisher.ErrExpectation), Unconfirmed, "an expectation was not met", true},
		"removed":         {errForgotten, Forgotten, "", true},
		"taken":           {errOccupied, Occupied, "", true},
		"the stream full": {publisher.ErrStreamFull, Unconfirmed, "", false},
		"no answer":       {publisher.ErrUnconfirmed, Unconfirmed, "", false},
		"the end":         {context.Canceled, Unconfirmed, "", false},
		"anything":        {errors.New("x"), Unconfirmed, "", false},
	} {
		if why, problem, own := fault(c.err); why != c.why || problem != c.problem || own != c.own {
			t.Errorf("%s: %d, %q, %v", name, why, problem, own)
		}
	}
}

// Of the letters of an id the later one claims the earlier, where it may be the
// same event; the last of several is the proof, since it goes last.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	type want struct {
		claim  claim
		proof  uint64
		unsure bool
	}
	for name, c := range map[string]struct {
		entries []entry
		want    []want
		twins   []int
	}{
		"one generation":                  {[]entry{{seq: 1, id: 1, body: 1}}, []want{{}}, nil},
		"two":                             {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 1, attempt: 1}}, []want{{leftover, 2, false}, {}}, nil},
		"two, the later one stored first": {[]entry{{seq: 1, id: 1, body: 1, attempt: 1}, {seq: 2, id: 1, body: 1}}, []want{{}, {leftover, 1, false}}, nil},
		"three":                           {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 1, attempt: 1}, {seq: 3, id: 1, body: 1, attempt: 2}}, []want{{leftover, 3, false}, {leftover, 3, false}, {}}, nil},
		"another body":                    {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 2, attempt: 1}}, []want{{}, {}}, nil},
		"another body, changed":           {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 2, attempt: 1, edited: true}}, []want{{leftover, 2, true}, {}}, nil},
		"another between":                 {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 2, attempt: 1}, {seq: 3, id: 1, body: 1, attempt: 2}}, []want{{leftover, 3, false}, {}, {}}, nil},
		"another provider":                {[]entry{{seq: 1, id: 1, body: 1}, {seq: 2, id: 1, body: 1, attempt: 1, provider: 1}}, []want{{}, {}}, nil},
		"twins":                           {[]entry{{seq: 1, id: 1, body: 1, replay: 7}, {seq: 2, id: 1, body: 1, replay: 7}}, []want{{}, {}}, []int{1}},
		"no twins: another body":          {[]entry{{seq: 1, id: 1, body: 1, replay: 7}, {seq: 2, id: 1, body: 2, replay: 7}}, []want{{}, {}}, nil},
		"no twins: another provider":      {[]entry{{seq: 1, id: 1, body: 1, replay: 7}, {seq: 2, id: 1, body: 1, replay: 7, provider: 1}}, []want{{}, {}}, nil},
		"twins, with another between":     {[]entry{{seq: 1, id: 1, body: 1, replay: 7}, {seq: 2, id: 1, body: 2, replay: 7}, {seq: 3, id: 1, body: 1, replay: 7}}, []want{{}, {}, {}}, []int{2}},
	} {
		p := &Plan{entries: c.entries}
		for i := range p.entries {
			p.entries[i].replay += uint64(p.entries[i].attempt) + 1
		}
		p.index()
		var twins []int
		for i, e := range p.entries {
			if got := (want{e.claim, e.proof, e.unsure}); got != c.want[i] {
				t.Errorf("%s: entry %d: %+v, want %+v", name, i, got, c.want[i])
			}
			if e.state == twin {
				twins = append(twins, i)
			}
		}
		if !slices.Equal(twins, c.twins) {
			t.Errorf("%s: twins %v, want %v", name, twins, c.twins)
		}
	}
}
