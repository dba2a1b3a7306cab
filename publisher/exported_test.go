package publisher_test

import (
	"bytes"
	stdjson "encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// Whatever bytes a header has, the line has them all.
func TestExportedHeadersComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom([]string{"", "Dlq-Id", "X-Name", "M\xfcller", "M\u00fcller", "\xff", "\x00\x1f", `"\`, "\u2028<&>"}),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		headers := rapid.MapOf(text, rapid.SliceOfN(text, 1, 3)).Draw(r, "headers")
		letter := publisher.ExportedLetter{Provider: "courier", Headers: headers, Body: jsontext.Value(`{"token":"t"}`)}
		line, err := json.Marshal(letter, json.Deterministic(true))
		if err != nil {
			r.Fatal(err)
		}
		if !publisher.IsExportedLetter(line) || bytes.ContainsAny(line, "\r\n") {
			r.Fatalf("no line of an export: %s", line)
		}
		for name, unmarshal := range map[string]func([]byte, any) error{
			"json":          func(text []byte, into any) error { return json.Unmarshal(text, into) },
			"encoding/json": stdjson.Unmarshal,
		} {
			var read publisher.ExportedLetter
			if err := unmarshal(line, &read); err != nil {
				r.Fatalf("%s: %s: %v", name, line, err)
			}
			if !maps.EqualFunc(read.Headers, nats.Header(headers), slices.Equal) || read.Provider != "courier" || !bytes.Equal(read.Body, letter.Body) {
				r.Fatalf("%s: %q came back as %q", name, letter, read)
			}
		}
	})
}

func TestExportedLine(t *testing.T) {
	t.Parallel()
	for want, letter := range map[string]publisher.ExportedLetter{
		`{"provider":"courier","headers":{"A":["1","2"]},"headers_base64":{"WA==":["TfxsbGVy","Yg=="]},"body":{}}`: {Provider: "courier",
			Headers: nats.Header{"A": {"1", "2"}, "X": {"M\xfcller", "b"}}, Body: jsontext.Value(`{}`)},
		`{"provider":"courier","headers_base64":{"WP8=":["MQ=="]},"body_base64":"/w=="}`: {Provider: "courier",
			Headers: nats.Header{"X\xff": {"1"}}, BodyBase64: []byte{0xff}},
		"{\"provider\":\"c\ufffd\",\"body\":{}}": {Provider: "c\xff", Body: jsontext.Value(`{}`)},
	} {
		if got, err := json.Marshal(letter); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for _, line := range []string{
		`{"provider":"courier","headers_base64":{"?":["MQ=="]},"body":{}}`,
		`{"provider":"courier","headers_base64":{"WA==":["?"]},"body":{}}`,
		`{"provider":"courier","headers":{"X":["1"]},"headers_base64":{"WA==":["MQ=="]},"body":{}}`,
		`{"provider":"courier","headers_base64":3,"body":{}}`,
	} {
		var read publisher.ExportedLetter
		if err := json.Unmarshal([]byte(line), &read); err == nil {
			t.Errorf("%s was taken", line)
		}
	}
}
