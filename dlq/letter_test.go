package dlq_test

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// only is the one letter of a world.
func (w *world) only() *dlq.Stored {
	w.t.Helper()
	var found []*dlq.Stored
	for l, err := range w.reader().Letters(w.t.Context(), dlq.Filter{}, dlq.End, dlq.Whole) {
		if err != nil {
			w.t.Fatal(err)
		}
		found = append(found, l)
	}
	if len(found) != 1 {
		w.t.Fatalf("%d letters, want one", len(found))
	}
	return found[0]
}

func TestLetterIsReadAsItWasPut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{Provider: "clevertap", Code: "531", Reason: "CleverTap: 531: no", Status: 200, OriginSeq: 7})
	l := w.only()
	if l.Seq != 1 || l.Provider != "clevertap" || l.Code != "531" || l.Reason != "CleverTap: 531: no" || l.Status != 200 ||
		l.OriginSeq != 7 || l.OriginStream != "TOKENS" || l.Generation != 0 || string(l.Body) != string(body(1)) ||
		!l.FailedAt.Equal(l.FirstFailedAt) || len(l.History) != 1 || l.History[0].Code != "531" {
		t.Errorf("%+v", l)
	}
}

func TestEventHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{Header: nats.Header{"X-B": {"2"}, "App": {"shop"}, nats.MsgIdHdr: {"login-1"}, "Dlq-Reason": {"none of the app's"}}})
	if got, want := w.only().EventHeaders(), []string{"App", "Dlq-Original-Nats-Msg-Id", "X-B"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What generation a letter is: a replay that died counts, a trial does not.
func TestGenerations(t *testing.T) {
	t.Parallel()
	trial := func(generation, trials string) nats.Header {
		return nats.Header{dlq.HeaderID: {"the-id"}, dlq.HeaderGeneration: {generation}, dlq.HeaderTrials: {trials},
			dlq.HeaderHistory: {`[{"code":"530","at":"2026-01-01T00:00:00Z","edited":["type"]}]`}}
	}
	for name, c := range map[string]struct {
		header     nats.Header
		replayed   bool
		generation int
		trials     int
	}{
		"first death":                    {nil, false, 0, 0},
		"replayed once":                  {replayed("the-id", 1), true, 1, 0},
		"first trial":                    {trial("1", "1"), true, 0, 1},
		"third trial of the second":      {trial("2", "3"), true, 1, 3},
		"headers that nobody may set":    {trial("2", "3"), false, 0, 0},
		"a trial of nothing":             {trial("0", "1"), true, 0, 0},
		"a generation that is no number": {nats.Header{dlq.HeaderID: {"the-id"}, dlq.HeaderGeneration: {"-1"}}, true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(dlq.Letter{Header: c.header, Replayed: c.replayed})
			l := w.only()
			if l.Generation != c.generation || l.Trials != c.trials {
				t.Errorf("generation %d after %d trials, want %d after %d", l.Generation, l.Trials, c.generation, c.trials)
			}
			if (l.ID == "the-id") != c.replayed {
				t.Errorf("id %q", l.ID)
			}
			if c.replayed && c.header.Get(dlq.HeaderHistory) != "" && (len(l.History) != 2 || !slices.Equal(l.History[0].Edited, []string{"type"})) {
				t.Errorf("history %+v, want the former death with its note, and this one", l.History)
			}
		})
	}
}

// A letter that somebody else put there is shown, not hidden.
func TestForeignLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.js.Publish(t.Context(), "tokens.dlq.pigeon.lost", []byte("coo")); err != nil {
		t.Fatal(err)
	}
	l := w.only()
	if l.Provider != "pigeon" || l.Code != "lost" || l.ID != "letter:1" || !l.FailedAt.Equal(l.StoredAt) || string(l.Body) != "coo" {
		t.Errorf("%+v", l)
	}
	if found, err := w.reader().Find(t.Context(), "letter:1"); err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}
