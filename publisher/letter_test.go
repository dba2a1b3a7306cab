package publisher_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestIsExportedLetter(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`{"provider":"courier","headers":{},"body":{}}`:                true,
		`{"body_base64":"AA==","provider":"courier"}`:                  true,
		`{"token":"t","properties":{"provider":"x","body":"y"}}`:       false,
		`{"provider":"courier","properties":{"body":"y"},"token":"t"}`: false,
		`{"token":"t"}`:     false,
		`"provider" "body"`: false,
	} {
		if got := publisher.IsExportedLetter([]byte(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestLetterGoesBackToItsProviderOnly(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	body := `{"token":"t", "user_id":"u","type":"fcm","destinations":["clevertap","courier"]}`
	for line, want := range map[string]map[string]string{
		`{"provider":"courier","headers":{"Dlq-Id":["d1"],"Dlq-Generation":["2"],"Dlq-History":["[]"],"Dlq-First-Failed-At":["then"],"Dlq-Reason":["r"],"Dlq-Original-Nats-TTL":["1h"]},"body":` + body + `}`: {
			"Nats-Msg-Id": "replay:d1:3", "Dlq-Id": "d1", "Dlq-Generation": "3", "Dlq-History": "[]", "Dlq-First-Failed-At": "then",
		},
		// The app's own headers come along; those of others, and names that no client may write, do not.
		`{"provider":"courier","headers":{"Dlq-Id":["d3"],"X-Trace":["t1"],"traceparent":["00-a-b-01"],"nats-ttl":["1h"],"Outcome-Reply":["_INBOX.x"],"Status":["503"],"X/Y":["1"],"dlq-x":["1"]},"body":` + body + `}`: {
			"Nats-Msg-Id": "replay:d3:1", "Dlq-Id": "d3", "Dlq-Generation": "1", "X-Trace": "t1", "traceparent": "00-a-b-01",
		},
		`{"provider":"courier","headers":{"Dlq-Id":["d4"],"X-Large":["` + strings.Repeat("x", 60<<10) + `"]},"body":` + body + `}`: {
			"Nats-Msg-Id": "replay:d4:1", "Dlq-Id": "d4", "Dlq-Generation": "1",
		},
		`{"provider":"courier","headers":{"Dlq-Id":["d2"]},"body":` + body + `}`: {
			"Nats-Msg-Id": "replay:d2:1", "Dlq-Id": "d2", "Dlq-Generation": "1",
		},
		`{"provider":"courier","body":` + body + `}`: {"Nats-Msg-Id": ""},
	} {
		var letter publisher.ExportedLetter
		if err := json.Unmarshal([]byte(line), &letter); err != nil {
			t.Fatal(err)
		}
		id, raw, opts, err := letter.Replay()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		ack, err := p.PublishRaw(bounded(t), id, raw, opts...)
		if err != nil {
			t.Fatal(err)
		}
		m, err := stream.GetMsg(bounded(t), ack.Seq)
		if err != nil || m.Subject != "tokens.registered.courier" || string(m.Data) != body || len(m.Header) != len(want) {
			t.Errorf("%s: stored %+v, %v", line, m, err)
		}
		for name, value := range want {
			if value != "" && m.Header.Get(name) != value {
				t.Errorf("%s: header %s is %q", line, name, m.Header.Get(name))
			}
		}
	}
}

func TestLetterThatCannotGoBack(t *testing.T) {
	t.Parallel()
	for line, field := range map[string]string{
		`{"provider":"pigeon","body":{"token":"t"}}`:                                                                                        "provider",
		`{"provider":"courier","body":{"token":"t","user_id":"u"}}`:                                                                         "provider_key",
		`{"provider":"courier","body":{"token":7}}`:                                                                                         "token",
		`{"provider":"courier","body_base64":"AAEC"}`:                                                                                       "event",
		`{"provider":"courier","body":{"token":"t"},"body_base64":"AAEC"}`:                                                                  "body",
		`{"provider":"courier","headers":{"Dlq-Id":["d"],"Dlq-Generation":["-1"]},"body":{"token":"t","user_id":"u","type":"fcm"}}`:         "headers.Dlq-Generation",
		`{"provider":"courier","headers":{"Dlq-Id":["d"],"Dlq-Generation":["abc"]},"body":{"token":"t","user_id":"u","type":"fcm"}}`:        "headers.Dlq-Generation",
		`{"provider":"courier","headers":{"Dlq-Id":["d"],"Dlq-Generation":["2147483648"]},"body":{"token":"t","user_id":"u","type":"fcm"}}`: "headers.Dlq-Generation",
		`{"provider":"courier","headers":{"Dlq-Id":["d\u0085"]},"body":{"token":"t","user_id":"u","type":"fcm"}}`:                           "headers.Dlq-Id",
	} {
		var letter publisher.ExportedLetter
		if err := json.Unmarshal([]byte(line), &letter); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := letter.Replay(); !violates(err, field) {
			t.Errorf("%s: %v; want %s", line, err, field)
		}
	}
}
