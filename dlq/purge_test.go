package dlq_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f       dlq.Filter
		through uint64
		left    []uint64
		most    int // reported at the end
	}{
		"all":                      {dlq.Filter{}, dlq.End, nil, 6},
		"what was there":           {dlq.Filter{}, 4, []uint64{5, 6}, 4},
		"a provider":               {dlq.Filter{Provider: "clevertap"}, dlq.End, []uint64{2, 4, 6}, 3},
		"a provider, and no later": {dlq.Filter{Provider: "clevertap"}, 3, []uint64{2, 4, 5, 6}, 2},
		"a reason":                 {dlq.Filter{Reason: "stale"}, dlq.End, []uint64{4, 5, 6}, 3},
		"a reason, and no later":   {dlq.Filter{Reason: "stale"}, 2, []uint64{3, 4, 5, 6}, 2},
		"the newest two":           {dlq.Filter{Limit: 2}, 5, []uint64{1, 2, 3, 6}, 2},
		"nothing was there":        {dlq.Filter{}, 0, []uint64{1, 2, 3, 4, 5, 6}, 0},
		"none of a reason":         {dlq.Filter{Reason: "stale"}, 0, []uint64{1, 2, 3, 4, 5, 6}, 0},
		"none of the newest":       {dlq.Filter{Limit: 2}, 0, []uint64{1, 2, 3, 4, 5, 6}, 0},
		"no such":                  {dlq.Filter{Code: "999"}, dlq.End, []uint64{1, 2, 3, 4, 5, 6}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 6 {
				w.put(dlq.Letter{Provider: []string{"clevertap", "courier"}[i%2], Reason: []string{"stale", "wrong"}[i/3]})
			}
			reported := 0
			removed, err := w.reader().Purge(t.Context(), c.f, c.through, func(n int) { reported = n })
			if err != nil || removed != c.most || reported != c.most {
				t.Errorf("%d removed, %d reported, %v; want %d", removed, reported, err, c.most)
			}
			if left := w.places(dlq.Filter{}); !slices.Equal(left, c.left) {
				t.Errorf("left %v, want %v", left, c.left)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Letter{}, dlq.Letter{}, dlq.Letter{})
	r := w.reader()
	if err := errors.Join(r.Remove(t.Context(), 1), r.Erase(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 2, 99} {
		if err := r.Remove(t.Context(), seq); !errors.Is(err, dlq.ErrGone) {
			t.Errorf("place %d: %v", seq, err)
		}
		if _, err := r.Get(t.Context(), seq); !errors.Is(err, dlq.ErrGone) {
			t.Errorf("place %d: %v", seq, err)
		}
	}
	if left := w.places(dlq.Filter{}); !slices.Equal(left, []uint64{3}) {
		t.Errorf("left %v", left)
	}
}

// A line gives back the body byte for byte, whatever it is.
func TestExportKeepsTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bodies := []string{
		`{"token":"t","user_id":"u"}`,
		`  { "token" : "\u0074" , "n" : 1.0e2 }`,
		"{\n\t\"token\": \"t\"\n}",
		`not json`,
		``,
		"\xff\xfe",
		`{"a":1,"a":2}`,
		`null`,
		`"a string"`,
		`{"token":"<&>"}`,
	}
	for i, b := range bodies {
		w.put(dlq.Letter{Body: []byte(b), Reason: `with "quotes"`, OriginSeq: uint64(i + 1)})
	}
	for i, l := range w.stored() {
		line, err := l.AppendExport([]byte("before\n"))
		if err != nil {
			t.Fatal(err)
		}
		line, found := bytes.CutPrefix(line, []byte("before\n"))
		if !found || bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Errorf("%q is no line", line)
		}
		if !publisher.IsExportedLetter(line) {
			t.Errorf("%s is not recognised", line)
		}
		var read publisher.ExportedLetter
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		body := []byte(read.Body)
		if read.Body == nil {
			body = read.BodyBase64
		}
		if string(body) != bodies[i] || read.Provider != "courier" || read.Headers.Get(dlq.HeaderID) != l.ID || read.Headers.Get(dlq.HeaderReason) != `with "quotes"` {
			t.Errorf("%q came back as %q: %+v", bodies[i], body, read)
		}
	}
}
