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
	for token, begins := range map[string]bool{
		"dYfuuBmHLGI:APA91bGabcdefghi": true, strings.Repeat("0f", 32): true, "anna.smith@somewhere.example.com": false,
		"Ann Smith of a long street": false, "anna.smith.who.has.a.long.name": false, strings.Repeat("ä", 24): false,
	} {
		if got := v.Token(token); strings.HasPrefix(got, token[:6]+"…#") != begins || strings.Contains(got, token) {
			t.Errorf("%s is shown as %s", token, got)
		}
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

// shown is a field's line of a veiled event, without its name.
func shown(t *testing.T, body string) string {
	t.Helper()
	_, line, found := strings.Cut(dlq.NewVeil(false).Body([]byte(body)), ": ")
	if !found {
		t.Fatalf("no field in the veiled %s", body)
	}
	return strings.TrimSuffix(line, "\n}")
}

func TestVeilShowsSharedValues(t *testing.T) {
	t.Parallel()
	for field, values := range map[string][]string{
		"type":                {`"fcm"`, `"chrome"`, `""`, `null`},
		"destinations":        {`["courier"]`, `["clevertap","courier"]`, `[]`, `null`},
		"registered_at":       {`"2026-01-31T12:00:00Z"`, `"2026-01-31T12:00:00.123456789+01:00"`, `""`},
		"expiry_date":         {`false`, `"2030-01-31"`, `"2030-01-31T12:00"`, `"2030-01-31T12:00:00.5Z"`, `null`},
		"provider_key":        {`"firebase-fcm"`, `"apn"`, `"expo"`, `"onesignal"`, `"apns"`},
		"device.platform":     {`"android"`, `"iOS"`, `"WEB"`},
		"device.manufacturer": {`"Samsung"`, `"apple"`, `"HMD Global"`},
		"device.model": {`"iPhone 13"`, `"iPhone14,5"`, `"iPhone XS Max"`, `"iPhone SE"`, `"SM-G930F"`, `"Pixel"`, `"Pixel 8a"`, `"Pixel 8 Pro"`,
			`"Galaxy S23 Ultra"`, `"Redmi Note 12 Pro"`, `"iPad Pro"`},
		"tracking.os_version": {`"17"`, `"17.5.1"`, `"16.7.10"`, `"Android 14"`, `"iOS 9"`},
	} {
		for _, value := range values {
			if got := shown(t, within(field, value)); got != framed(field, value) {
				t.Errorf("%s of %s: %s", field, value, got)
			}
		}
	}
	if got := shown(t, `{"destinations":[ "courier",`+"\n"+` "clevertap" ]}`); got != `["courier","clevertap"]` {
		t.Errorf("white space: %s", got)
	}
}

// within is an event with one field, which may be a member of a group.
func within(field, value string) string {
	if group, member, found := strings.Cut(field, "."); found {
		return `{"` + group + `":{"` + member + `":` + value + `}}`
	}
	return `{"` + field + `":` + value + `}`
}

// framed is how the value of such a field is shown.
func framed(field, value string) string {
	if _, member, found := strings.Cut(field, "."); found {
		return `{"` + member + `": ` + value + `}`
	}
	return value
}

func fields() []string {
	return []string{"id", "user_id", "object_id", "token", "type", "keys", "provider_key", "device", "tracking", "properties", "expiry_date",
		"destinations", "registered_at", "device.app_id", "device.ad_id", "device.device_id", "device.platform", "device.manufacturer",
		"device.model", "tracking.os_version", "tracking.ip", "tracking.lat", "tracking.long"}
}

func TestVeilMarksHostileValues(t *testing.T) {
	t.Parallel()
	everywhere := []string{`"SECRET"`, `"SECRET@example.com"`, `"+41791234567"`, `"0791234567"`, `"10.20.30.40"`, `"Ann Smith"`, `"Ann's iPhone"`,
		`"iPhone von Ann Smith"`, `"iPhone Ann"`, `"com.SECRET.app"`, `"8a6e0804-2bd0-4672-b79d-d97027f9071a"`, `"SM-SECRET"`, `"Android SECRET"`,
		`"firebase-fcm SECRET"`, `"courier"`, `"Samsung SECRET"`, `"iPhone 07 91 23 45"`, `"anna.smith.of.somewhere@example.com"`,
		`"Ann Smith who lives in a long street"`, `"anna.smith.who.has.a.long.name"`, `"2030-01-31 SECRET"`, `"2030-02-31"`, `"1,2"`, `"<b>SECRET</b>"`,
		`"SECRET\u0000"`, `"\ud83d\ude00 SECRET"`, `"Änni Müller"`, `"` + "\xff\xfe" + `SECRET"`, `41791234567`, `-1.5e7`, `true`,
		`{"a":"SECRET"}`, `{"SECRET":false}`, `["SECRET"]`, `["courier","SECRET"]`, `["courier",["courier"]]`, `["courier",null]`, `["fcm"]`, `[41791234567]`,
		`[{"token":"SECRETa","user_id":"SECRETb"}]`, `{"platform":{"a":"SECRET"},"model":["SECRET"],"app_id":"SECRET","os_version":{"x":["SECRET"]}}`,
		`{"platform":"SECRET","model":"SECRET","manufacturer":"SECRET","os_version":"SECRET","SECRET":1}`}
	for _, field := range fields() {
		for _, value := range everywhere {
			got := shown(t, within(field, value))
			inside := strings.Trim(value, `"`)
			if strings.Contains(got, "SECRET") || strings.Contains(got, inside) {
				t.Errorf("%s of %s: %s", field, value, got)
			}
		}
	}
	for field, values := range map[string][]string{
		"registered_at":       {`"2026-01-31"`, `"2026-01-31 12:00:00Z"`, `"2026-01-31T12:00:00.12345678901234567890Z"`, `false`},
		"expiry_date":         {`"2030-01-31T12:00:00.12345678901234567890Z"`, `"31.1.1990"`, `"false"`},
		"provider_key":        {`"APN"`, `"courier"`, `" apn"`},
		"type":                {`"FCM"`, `"fcm "`},
		"device.app_id":       {`"com.example.app"`},
		"device.platform":     {`"android 14"`, `"android\n"`, `false`},
		"device.model":        {`"SM-G930F SM-G930F"`, `"iPhone 13 14"`, `"iPhone 13z 6E"`, `"iPhone\n13"`, `"iPhone 13\n"`},
		"tracking.os_version": {`"123456789012"`, `"079.123.45"`, `"Android 14 ann"`, `"14\n"`, `"47.376887"`, `"1.2.3.4"`},
	} {
		for _, value := range values {
			if got := shown(t, within(field, value)); strings.Contains(got, strings.Trim(value, `"`)) {
				t.Errorf("%s of %s: %s", field, value, got)
			}
		}
	}
}

func TestVeilShowsAppsOfValidEvents(t *testing.T) {
	t.Parallel()
	for app, want := range map[string]bool{
		"com.example": true, "com.example.app": true, "org.example.My_App-2": true,
		"SECRET": false, "ann@example.com": false, "com.ann@example.com": false, "ann.smith": false, "com.example.a123456": false,
		"com.example." + strings.Repeat("a", 21): false, "com": false, "com.": false, "com.ann smith": false,
	} {
		valid := `{"token":"t","device":{"app_id":"` + app + `"}}`
		if got := dlq.NewVeil(false).Body([]byte(valid)); strings.Contains(got, `"app_id": "`+app+`"`) != want {
			t.Errorf("%s in a valid event: %s", app, got)
		}
		for _, invalid := range []string{`{"device":{"app_id":"` + app + `"}}`, `{"token":"t","user_id":7,"device":{"app_id":"` + app + `"}}`} {
			if got := dlq.NewVeil(false).Body([]byte(invalid)); strings.Contains(got, `"`+app+`"`) {
				t.Errorf("%s in an invalid event: %s", app, got)
			}
		}
	}
}

func TestVeilShowsNamesOfHeaders(t *testing.T) {
	t.Parallel()
	v := dlq.NewVeil(false)
	for _, name := range []string{"Nats-Msg-Id", "Nats-Expected-Last-Subject-Sequence", "Dlq-Original-Nats-Expected-Last-Subject-Sequence",
		"Dlq-Original-Headers-Left-Out", "Dlq-Generation", "Outcome-Reply", "Content-Type", "traceparent", "tracestate", "X-B3-TraceId", "X-App", "ce_type"} {
		if got := v.HeaderName(name); got != name {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
	for _, name := range []string{"ann@example.com", "Dlq-Original-ann@example.com", "Nats-ann@example.com", "X-41791234567", "Ann Smith", "Müller", "a\xffb",
		"dYfuuBmHLGI:APA91b", strings.Repeat("x", 41), "Dlq-Original-" + strings.Repeat("x", 41), "8a6e0804-2bd0-4672-b79d-d97027f9071a", "<b>"} {
		got := v.HeaderName(name)
		if strings.Contains(got, strings.TrimPrefix(name, "Dlq-Original-")) || !strings.Contains(got, "#") {
			t.Errorf("%s is shown as %s", name, got)
		}
		if got := dlq.NewVeil(true).HeaderName(name); got != name {
			t.Errorf("%s is revealed as %s", name, got)
		}
	}
	first, again := v.HeaderName("a@b"), v.HeaderName("a@b")
	if first != again || first == v.HeaderName("a@c") {
		t.Error("a marked name must be told apart")
	}
}
