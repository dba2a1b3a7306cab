package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// refuse makes both providers refuse tokens that begin with bad.
func (w *world) refuse() {
	w.t.Helper()
	w.fault(event.CleverTap, sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "531"})
	w.fault(event.Courier, sandbox.Rule{Provider: event.Courier, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "400"})
}

// A letter is the message byte for byte, its headers, and why it died.
func TestLetterSaysAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse()
	w.start()
	body := " {\"user_id\":\"u\",\r\n \"object_id\":\"o\" , \"token\":\"bad-1\",\"type\":\"fcm\", \"unknown\":\"\u00e9\\u00e9\"}\n"
	w.put(registration(1), registration(2))
	seq := w.putMsg(consumer.EventsSubject, body, nats.Header{
		"Nats-Msg-Id": {"login-7"}, "Nats-Expected-Stream": {"TOKENS"}, "X-App": {"shop", "second value"}, "traceparent": {"00-abc"},
		"Outcome-Reply": {"_INBOX.x"}, "Dlq-Id": {"forged"}, "Dlq-Generation": {"7"}, "dlq-history": {"forged"}, "Dlq-Original-Nats-Msg-Id": {"forged"},
	})
	w.settled()
	letters := w.letters("")
	if len(letters) != 2 {
		t.Fatalf("%d letters, want two", len(letters))
	}
	for _, l := range letters {
		code, status := "531", "200"
		if l.provider == event.Courier {
			code, status = "http_400", "400"
		}
		for name, want := range map[string]string{
			"Dlq-Provider": l.provider, "Dlq-Code": code, "Dlq-Http-Status": status, "Dlq-Generation": "0",
			"Dlq-Origin-Stream": "TOKENS", "Dlq-Origin-Seq": fmt.Sprint(seq),
			"X-App": "shop", "traceparent": "00-abc", "Dlq-Original-Nats-Msg-Id": "login-7", "Dlq-Original-Nats-Expected-Stream": "TOKENS",
			"Outcome-Reply": "", "Nats-Expected-Stream": "", "dlq-history": "",
			"Nats-Msg-Id": l.header.Get("Dlq-Id"), "Dlq-First-Failed-At": l.header.Get("Dlq-Failed-At"),
		} {
			if have := l.header.Get(name); have != want {
				t.Errorf("%s: header %s is %q, want %q", l.provider, name, have, want)
			}
		}
		if l.code != code {
			t.Errorf("%s: subject says %q, want %q", l.provider, l.code, code)
		}
		if values := l.header.Values("X-App"); len(values) != 2 {
			t.Errorf("%s: X-App has values %q, want both", l.provider, values)
		}
		if l.body != body {
			t.Errorf("%s: body %q, want %q", l.provider, l.body, body)
		}
		if id := l.header.Get("Dlq-Id"); !strings.HasPrefix(id, l.provider+":") || !strings.HasSuffix(id, fmt.Sprintf(":%d", seq)) {
			t.Errorf("%s: id %q", l.provider, id)
		}
		if _, err := time.Parse(time.RFC3339Nano, l.header.Get("Dlq-Failed-At")); err != nil {
			t.Errorf("%s: %v", l.provider, err)
		}
		if history := historyOf(t, l); len(history) != 1 || history[0].Code != code {
			t.Errorf("%s: history %+v, want one death of %s", l.provider, history, code)
		}
		if l.reason() == "" || strings.Contains(l.reason(), "bad-1") {
			t.Errorf("%s: reason %q", l.provider, l.reason())
		}
	}
}

type pastDeath struct {
	Code string    `json:"code"`
	At   time.Time `json:"at"`
}

func historyOf(t testing.TB, l letter) []pastDeath {
	t.Helper()
	var history []pastDeath
	if err := json.Unmarshal([]byte(l.header.Get("Dlq-History")), &history); err != nil {
		t.Fatalf("history %q: %v", l.header.Get("Dlq-History"), err)
	}
	return history
}

// A replayed letter that dies again is the same letter, one generation older.
func TestReplayedLetterKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse()
	p := w.start()
	w.put(registration(0), registrationOf("bad-1"))
	w.settled()
	first := w.letters(event.CleverTap)[0]
	other := w.letters(event.Courier)
	last := first
	for generation := 1; generation <= 2; generation++ {
		header := nats.Header{"Nats-Msg-Id": {fmt.Sprintf("replay:%s:%d", first.header.Get("Dlq-Id"), generation)}}
		for _, name := range []string{"Dlq-Id", "Dlq-First-Failed-At", "Dlq-History"} {
			header.Set(name, last.header.Get(name))
		}
		header.Set("Dlq-Generation", fmt.Sprint(generation))
		w.putMsg(consumer.ProviderSubject(event.CleverTap), last.body, header)
		w.settled()
		letters := w.letters(event.CleverTap)
		if len(letters) != generation+1 {
			t.Fatalf("%d letters after replay %d, want one more", len(letters), generation)
		}
		last = letters[generation]
		for _, name := range []string{"Dlq-Id", "Dlq-First-Failed-At"} {
			if have, want := last.header.Get(name), first.header.Get(name); have != want {
				t.Errorf("generation %d: %s is %q, want %q as before", generation, name, have, want)
			}
		}
		if have := last.header.Get("Dlq-Generation"); have != fmt.Sprint(generation) {
			t.Errorf("generation is %q, want %d", have, generation)
		}
		if history := historyOf(t, last); len(history) != generation+1 {
			t.Errorf("generation %d: history %+v, want %d deaths", generation, history, generation+1)
		}
		if last.body != first.body {
			t.Errorf("generation %d: the body changed: %q", generation, last.body)
		}
	}
	if now := w.letters(event.Courier); len(now) != len(other) {
		t.Errorf("the other provider has %d letters, had %d", len(now), len(other))
	}

	w.fault(event.CleverTap)
	w.putMsg(consumer.ProviderSubject(event.CleverTap), last.body, nil)
	w.settled()
	w.delivered(event.CleverTap, token(0), "bad-1")
	m := p.metrics()
	if n := m.of(t, "delivery_latency_seconds_count", event.CleverTap, `source="replay"`); n != 1 {
		t.Errorf("%v latencies of replays, want 1", n)
	}
	if n := m.of(t, "delivery_latency_seconds_count", event.CleverTap, `source="live"`); n != 1 {
		t.Errorf("%v latencies of live events, want 1", n)
	}
}

// What a stream made anew holds at an old place is another death.
func TestStreamMadeAnewHasNewDeaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=clevertap")
	for round := 1; round <= 2; round++ {
		p := w.start()
		clear(w.last)
		w.put("not json")
		w.settled(event.CleverTap)
		eventually(t, "a letter each round", func() bool { return len(w.letters("")) == round })
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if err := w.broker.JS.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
			t.Fatal(err)
		}
	}
}

// Headers so large that they do not fit into a letter are left out, and the
// body is not.
func TestLetterOfAFullMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.start()
	body := strings.Repeat("[", 30<<10)
	w.putMsg(consumer.EventsSubject, body, nats.Header{"X-Long": {strings.Repeat("x", 33<<10)}})
	w.settled(event.Courier)
	letters := w.letters("")
	if len(letters) != 1 || letters[0].body != body || letters[0].code != "invalid_event" {
		t.Errorf("%d letters, want one with the whole body", len(letters))
	}
}
