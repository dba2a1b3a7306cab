package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

// Anybody may publish anything: it becomes a letter that says what is wrong,
// and the events around it are delivered.
func TestGarbageBecomesLetters(t *testing.T) {
	t.Parallel()
	both := event.Providers()
	for _, c := range []struct {
		name, body string
		names      string // what the reason must name
		providers  []string
	}{
		{"not JSON", "not json", "JSON", both},
		{"an array", `["an","array"]`, "object", both},
		{"a string", `"token"`, "object", both},
		{"null", `null`, "object", both},
		{"empty", "", "JSON", both},
		{"binary", "\x00\x01\x02\xff\xfe\r\nDlq-Code: x\r\n", "JSON", both},
		{"cut short", `{"user_id":"u","token":"t"`, "JSON", both},
		{"trailing bytes", registration(1) + `{}`, "JSON", both},
		{"60 kB of arrays", strings.Repeat("[", 60_000), "", both},
		{"60 kB of objects", strings.Repeat(`{"token":`, 60_000/9), "", both},
		{"50 kB of nested properties", `{"user_id":"u","token":"t","type":"fcm","properties":{"a":` + strings.Repeat("[", 25_000) + strings.Repeat("]", 25_000) + "}}", "", both},
		{"no token", `{"user_id":"u","object_id":"o","type":"fcm"}`, "token", both},
		{"an empty token", `{"user_id":"u","object_id":"o","token":"","type":"fcm"}`, "token", both},
		{"a number as token", `{"user_id":"u","object_id":"o","token":12345,"type":"fcm"}`, "token", both},
		{"a token of 5000 bytes", registrationOf(strings.Repeat("x", 5000)), "token", both},
		{"two dots as token", `{"user_id":"u","object_id":"o","token":"..","type":"fcm"}`, "token", both},
		{"white space in the token", `{"user_id":"u","object_id":"o","token":"a b","type":"fcm"}`, "token", both},
		{"a line break in the token", `{"user_id":"u","object_id":"o","token":"a\nb","type":"fcm"}`, "token", both},
		{"a key twice", `{"user_id":"u","object_id":"o","token":"a","token":"b","type":"fcm"}`, "token", both},
		{"invalid UTF-8", "{\"user_id\":\"u\",\"object_id\":\"o\",\"token\":\"a\xffb\",\"type\":\"fcm\"}", "UTF-8", both},
		{"half a surrogate pair", `{"user_id":"u","object_id":"o","token":"a\ud800b","type":"fcm"}`, "", both},
		{"an unknown type", `{"user_id":"u","object_id":"o","token":"t","type":"carrier-pigeon"}`, "type", both},
		{"nobody to deliver to", `{"token":"t","type":"fcm"}`, "user_id", both},
		{"an unknown destination", `{"user_id":"u","object_id":"o","token":"t","type":"fcm","destinations":["courier","pigeon"]}`, "destinations", both},
		{"a destination without its identity", `{"user_id":"u","token":"t","type":"fcm","destinations":["clevertap","courier"]}`, "object_id", []string{event.CleverTap}},
		{"a type without a provider key", `{"user_id":"u","object_id":"o","token":"t","type":"wns","destinations":["clevertap","courier"]}`, "provider_key", []string{event.Courier}},
		{"Chrome without keys", `{"user_id":"u","object_id":"o","token":"t","type":"chrome","destinations":["clevertap"]}`, "keys", []string{event.CleverTap}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.start()
			w.put(registration(100), c.body, registration(101))
			w.settled()
			for _, provider := range both {
				counts := w.accepted(provider)
				if counts[token(100)] != 1 || counts[token(101)] != 1 {
					t.Errorf("%s took the neighbours %d and %d times, want once each", provider, counts[token(100)], counts[token(101)])
				}
			}
			letters := w.letters("")
			if len(letters) != len(c.providers) {
				t.Errorf("%d letters, want one of each of %v", len(letters), c.providers)
			}
			for i, l := range letters {
				if l.code != "invalid_event" || l.header.Get("Dlq-Code") != "invalid_event" {
					t.Errorf("letter %d of %s has code %q", i, l.provider, l.code)
				}
				if !strings.Contains(l.reason(), c.names) || l.reason() == "" {
					t.Errorf("the reason %q does not name %q", l.reason(), c.names)
				}
				if len(l.reason()) > 256 {
					t.Errorf("a reason of %d bytes", len(l.reason()))
				}
				if l.body != c.body {
					t.Errorf("the letter holds %d bytes that are not the %d bytes published", len(l.body), len(c.body))
				}
			}
			if lines := p.log.with("panic"); len(lines) > 0 {
				t.Errorf("a panic: %s", lines[0])
			}
		})
	}
}

// A message that no letter could hold is refused before it is stored.
func TestOversizedIsRefusedToItsPublisher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	large := fmt.Sprintf(`{"user_id":"u","token":"t","type":"fcm","properties":{"a":%q}}`, strings.Repeat("x", 64<<10))
	if _, err := w.broker.JS.Publish(t.Context(), "tokens.registered", []byte(large)); err == nil {
		t.Error("the stream took a message of over 64 KiB")
	} else if !strings.Contains(err.Error(), "size") {
		t.Errorf("the publisher is told %q, want the size named", err)
	}
	fits := fmt.Sprintf(`{"user_id":"u","token":"t","type":"fcm","properties":{"a":%q}}`, strings.Repeat("x", 63<<10))
	w.put(fits)
	w.settled()
	w.noLetters()
	w.delivered(event.Courier, "t")
}
