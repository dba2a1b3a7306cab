package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// strange puts a letter with these headers beside the usual ones, as another
// client than ours might.
func (w *world) strange(headers nats.Header, body string) {
	w.T.Helper()
	m := nats.NewMsg(dlq.Subject("courier", "http_400"))
	m.Data = []byte(body)
	m.Header.Set(dlq.HeaderReason, "Courier: HTTP 400: a reason")
	maps.Copy(m.Header, headers)
	if _, err := w.Broker.JS.PublishMsg(w.T.Context(), m); err != nil {
		w.T.Fatal(err)
	}
}

// One letter's bytes keep no other letter from being exported, and come back
// as they were.
func TestExportOfHeadersThatAreNoText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead("ann")
	w.strange(nats.Header{"X-Name": {"M\xfcller", "plain"}, "X-Plain": {"M\u00fcller"}}, registration("bob"))
	w.strange(nats.Header{dlq.HeaderID: {"the \xff id"}, "X-Control": {strings.Repeat("\x01", 20_000)}}, "no \xff event")
	w.dead("cyd")
	file := filepath.Join(t.TempDir(), "letters.jsonl")
	w.dlq("", "export", "-o", file).want(t, 0, "4 letters exported")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines, letters := bytes.Split(bytes.TrimSpace(text), []byte("\n")), w.letters()
	if len(lines) != len(letters) {
		t.Fatalf("%d lines for %d letters", len(lines), len(letters))
	}
	for i, l := range letters {
		var read publisher.ExportedLetter
		if err := json.Unmarshal(lines[i], &read); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
		for name, values := range l.Header {
			if !slices.Equal(read.Headers[name], values) {
				t.Errorf("letter %d: header %q was %q and is %q", i, name, values, read.Headers[name])
			}
		}
		if body := append([]byte(read.Body), read.BodyBase64...); !bytes.Equal(body, l.Body) {
			t.Errorf("letter %d: the body was %q and is %q", i, l.Body, body)
		}
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"groups"}, {"groups", "--json"}} {
		w.dlq("", args...).want(t, 0, "http_400")
	}
	if n := w.stored(consumer.EventsSubject + ".>"); n != 0 {
		t.Errorf("%d events", n)
	}
}

// A person is erased from what no worker could read, too.
func TestEraseFromWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bodies := []string{
		`{'user_id': 'gdpranna', 'token': 'bad-x'}`, `{"token": NaN, "user_id": "gdpr\u0061nna"}`, `{"user_id":["gdpranna"],"token":"t"}`,
		`user_id=gdpranna&token=abc`, `{"event":{"user_id":"gdpranna"}}`, `{"user_id":"gdpranna`,
	}
	for _, body := range bodies {
		w.strange(nil, body)
	}
	w.strange(nats.Header{"X-User": {"gdpranna"}}, "nothing")
	w.strange(nil, `{'user_id': 'gdprannabel'}`)
	w.Put(append(bodies, registration("bob"), `{"user_id":"bob","token":"t","type":"fcm","properties":{"friend":"gdpranna"}}`)...)
	w.dlq("gdpranna\n", "erase", "--user", "-", "--yes").want(t, 0, "erased: 7 letters and 6 events", "stored messages could not be read as events and were searched as text")
	w.dlq("gdpranna\n", "erase", "--user", "-").want(t, 0, "nothing is stored of this person")
	if n := len(w.letters()); n != 1 {
		t.Errorf("%d letters left, want that of another", n)
	}
	if n := w.stored(consumer.EventsSubject); n != 2 {
		t.Errorf("%d events left, want the two of another", n)
	}
}

// Without the events' stream the letters go all the same, and it is said.
func TestEraseWithoutTheEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dead("ann", "bob")
	if err := w.Broker.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	said := "stream TOKENS is missing, so events were not looked at"
	w.dlq("user-ann\n", "erase", "--user", "-", "--yes").want(t, 1, "erased: 1 letter and 0 events", said)
	w.dlq("user-ann\n", "erase", "--user", "-", "--yes").want(t, 1, said)
	if n := len(w.letters()); n != 1 {
		t.Errorf("%d letters left, want the other's", n)
	}
}
