package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// exported is a line of dlq export, newline included.
func exported(t *testing.T, letter publisher.ExportedLetter) string {
	t.Helper()
	line, err := json.Marshal(letter)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// What dlq export writes of the largest message is read, whatever its bytes.
func TestImportTakesEveryExportedLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"token":"SECRET-token-1","type":"fcm","object_id":"o","user_id":"u"}`
	input := ""
	for i, header := range []nats.Header{
		{"X-Name": {"M\xfcller"}, "X\xff": {"1"}},
		{"X-Control": {strings.Repeat("\x01", 50_000)}},
		{"X-Control": {strings.Repeat("\x01", 1<<20)}},
		{"X-Bytes": {strings.Repeat("\xff", 1<<20)}},
	} {
		header["Dlq-Id"] = []string{fmt.Sprint("d", i)}
		input += exported(t, publisher.ExportedLetter{Provider: "courier", Headers: header, Body: jsontext.Value(body)})
	}
	input += exported(t, publisher.ExportedLetter{Provider: "courier", BodyBase64: bytes.Repeat([]byte{0xff}, 1<<20)}) // no event
	w.run(bounded(t), "", "import", w.write(t, "letters.jsonl", input)).want(t, 1, "imported: 4 events stored, 1 bad lines")
	for _, m := range w.stored(t) {
		if m.Subject() != "tokens.registered.courier" || string(m.Data()) != body {
			t.Errorf("stored %s on %s", m.Data(), m.Subject())
		}
		if m.Headers().Get("Dlq-Id") == "d0" && m.Headers().Get("X-Name") != "M\xfcller" {
			t.Errorf("its own headers are %q", m.Headers())
		}
	}
	if rejected := w.read(t, "letters.jsonl.rejects"); !strings.Contains(rejected, `"line":5`) || len(rejected) > 1000 {
		t.Errorf("%d bytes in the reject file", len(rejected))
	}
}

// Long lines are put together, and what is too long is skipped; the sum is of
// all bytes.
func TestLongLines(t *testing.T) {
	t.Parallel()
	for name, sizes := range map[string][]int{
		"short": {0, 1, 2}, "a buffer": {readAhead - 1, readAhead, readAhead + 1, 3}, "longest": {maxLine - 1, 5},
		"one too long": {7, maxLine, 6}, "far too long": {2 * maxLine, 2*maxLine + 3, 1},
	} {
		for _, end := range []string{"\n", ""} {
			var parts []string
			for i, size := range sizes {
				parts = append(parts, strings.Repeat(string(rune('a'+i)), size))
			}
			input := strings.Join(parts, "\n") + end
			l := newLines(iotest.HalfReader(strings.NewReader(input)))
			for i, want := range parts {
				got, err := l.next()
				tooLong := len(want) >= maxLine
				if err != nil || got.tooLong != tooLong || !tooLong && string(got.text) != want || got.number != int64(i+1) {
					t.Fatalf("%s: line %d of %d bytes: %d bytes, too long %v, %v", name, i+1, len(want), len(got.text), got.tooLong, err)
				}
			}
			sum := sha256.Sum256([]byte(input))
			if _, err := l.next(); !errors.Is(err, io.EOF) || l.offset != int64(len(input)) || !bytes.Equal(l.digest(), sum[:]) {
				t.Errorf("%s: ends at %d of %d, %v", name, l.offset, len(input), err)
			}
		}
	}
}
