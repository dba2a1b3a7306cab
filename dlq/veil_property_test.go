package dlq_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// secrets draws JSON values and remembers every text in them.
type secrets struct {
	r    *rapid.T
	seen []string
}

func (s *secrets) text() string {
	text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9@._:+ -]{6,60}`), rapid.StringMatching(`[0-9]{6,20}`), rapid.StringMatching(`[a-zäßλ😀]{6,40}`)).
		Filter(func(text string) bool { return strings.TrimSpace(text) == text }).Draw(s.r, "text")
	s.seen = append(s.seen, text)
	// A secret may hide behind what is shared. (Up to nine digits of a second's
	// fraction are shown, hence the ten.)
	return rapid.SampledFrom([]string{"", "", "", "iPhone ", "SM-G930F ", "Android ", "2026-01-31T12:00:00.0123456789", "courier", "apn "}).Draw(s.r, "before") + text
}

func (s *secrets) value(depth int) any {
	switch rapid.IntRange(0, 5).Draw(s.r, "kind") {
	case 0:
		if depth > 0 {
			return s.object(depth-1, s.text(), "token", "courier", "platform", "model", "os_version", "app_id")
		}
	case 1:
		if depth > 0 {
			return []any{s.value(depth - 1), "courier", s.value(depth - 1)}
		}
	case 2:
		number := rapid.Int64Range(1_000_000, 1<<53).Draw(s.r, "number")
		s.seen = append(s.seen, strconv.FormatInt(number, 10))
		return number
	}
	return s.text()
}

func (s *secrets) object(depth int, names ...string) map[string]any {
	object := map[string]any{}
	for _, name := range names {
		if rapid.Bool().Draw(s.r, name) {
			object[name] = s.value(depth)
		}
	}
	return object
}

func (s *secrets) texts(names []string) map[string]any {
	object := map[string]any{}
	for _, name := range names {
		object[name] = s.text()
	}
	return object
}

// event draws a body of any kind of values, or one that is valid.
func (s *secrets) event(valid bool) map[string]any {
	device := []string{"app_id", "ad_id", "device_id", "platform", "manufacturer", "model"}
	tracking := []string{"ip", "lat", "long", "os_version"}
	if !valid {
		body := s.object(3, append(slices.DeleteFunc(fields(), func(name string) bool { return strings.Contains(name, ".") }), s.text())...)
		if rapid.Bool().Draw(s.r, "groups") {
			body["device"], body["tracking"] = s.object(2, device...), s.object(2, tracking...)
		}
		return body
	}
	body := map[string]any{"token": strings.ReplaceAll(s.text(), " ", "_"), "properties": s.object(3, s.text(), s.text())}
	for _, name := range []string{"id", "user_id", "object_id", "provider_key"} {
		body[name] = s.text()
	}
	body["device"], body["tracking"] = s.texts(device), s.texts(tracking)
	return body
}

func TestVeilShowsNoSecret(t *testing.T) {
	t.Parallel()
	// The beginning of a long token is shown on purpose, and a hash may
	// happen to have six digits of a secret.
	marks := regexp.MustCompile(`"(.{6}…)?#[0-9a-f]{8}"`)
	rapid.Check(t, func(r *rapid.T) {
		s := &secrets{r: r}
		valid := rapid.Bool().Draw(r, "valid")
		body, err := json.Marshal(s.event(valid), json.Deterministic(true))
		if err != nil {
			r.Fatal(err)
		}
		if _, err := event.Decode(body); valid && err != nil {
			r.Fatalf("%s: %v", body, err)
		}
		veiled := marks.ReplaceAllString(dlq.NewVeil(false).Body(body), `"#"`)
		for _, secret := range s.seen {
			if strings.Contains(veiled, secret) {
				r.Fatalf("%q of %s is shown:\n%s", secret, body, veiled)
			}
		}
	})
}
