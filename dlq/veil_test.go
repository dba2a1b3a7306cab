package dlq_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
)

const wholeEvent = `{"id":"login-secret","user_id":"ann-secret","object_id":"__g-secret","token":"dYfuuBmHLGI:APA91bGsecret-secret","type":"fcm",` +
	`"keys":{"p256dh":"secret-p","auth":"secret-a"},"provider_key":"firebase-fcm","device":{"app_id":"com.example","ad_id":"secret-ad","device_id":"secret-d","platform":"android","secret":1},` +
	`"tracking":{"ip":"secret-ip","lat":"secret-lat","os_version":"17"},"properties":{"secret":"secret"},"expiry_date":false,"destinations":["courier"],"registered_at":"2026-01-31T12:00:00Z","secret-name":"secret"}`

func TestVeilHidesWhatIsPersonal(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a whole event":        wholeEvent,
		"wrong types":          `{"token":["secret"],"user_id":{"secret":1},"type":"secret-type","device":"secret","destinations":"secret","registered_at":["secret"],"expiry_date":{"secret":"secret"}}`,
		"twice":                `{"token":"secret-1","token":"secret-2"}`,
		"cut short":            `{"token":"secret`,
		"no JSON":              `secret`,
		"an array":             `["secret"]`,
		"long where a date is": `{"registered_at":"secret-` + strings.Repeat("x", 60) + `"}`,
	} {
		if shown := dlq.NewVeil(false).Body([]byte(body)); strings.Contains(shown, "secret") || shown == "" {
			t.Errorf("%s: %s", name, shown)
		}
	}
	shown := dlq.NewVeil(false).Body([]byte(wholeEvent))
	for _, want := range []string{`"token": "dYfuuB…#`, `"type": "fcm"`, `"platform": "android"`, `"destinations": ["courier"]`, `"user_id": "#`, `… and 1 unknown`, `"expiry_date": false`} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}
}

func TestVeilTellsValuesApart(t *testing.T) {
	t.Parallel()
	v, w := dlq.NewVeil(false), dlq.NewVeil(false)
	first, again := v.Value("a"), v.Value("a")
	if first != again || first == v.Value("b") || first == w.Value("a") {
		t.Error("a hash must be the value's and the veil's own")
	}
	if short := v.Token("12345678901234567890123"); strings.Contains(short, "123456…") {
		t.Errorf("a short token: %s", short)
	}
	if v.Token("") != "" || v.Value("") != "" {
		t.Error("nothing is nothing")
	}
}

func TestRevealing(t *testing.T) {
	t.Parallel()
	v := dlq.NewVeil(true)
	if v.Token("t") != "t" || v.Value("u") != "u" || !v.Revealing() {
		t.Error("hidden")
	}
	if got := v.Body([]byte(`{"token":"t"}`)); got != "{\n\t\"token\": \"t\"\n}" {
		t.Errorf("%s", got)
	}
	if got := v.Body([]byte(`not json`)); got != "not json" {
		t.Errorf("%s", got)
	}
}

func TestWhoseIs(t *testing.T) {
	t.Parallel()
	if p := dlq.WhoseIs([]byte(wholeEvent)); p.User != "ann-secret" || p.Object != "__g-secret" || !strings.HasPrefix(p.Token, "dYfuuB") {
		t.Errorf("%+v", p)
	}
	if p := dlq.WhoseIs([]byte(`{"user_id":"u"}`)); p != (dlq.Person{}) {
		t.Errorf("%+v", p)
	}
}
