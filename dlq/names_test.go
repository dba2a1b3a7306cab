package dlq_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Whose an event is must also be found where the event is not valid.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, user string
		want       bool
	}{
		"valid":                         {`{"token":"t","user_id":"ann","type":"fcm"}`, "ann", true},
		"valid, another":                {`{"token":"t","user_id":"anna","type":"fcm"}`, "ann", false},
		"elsewhere in a valid one":      {`{"token":"t","user_id":"bob","properties":{"x":"ann"},"type":"fcm"}`, "ann", false},
		"valid, the token":              {`{"token":"ann","user_id":"bob","type":"fcm"}`, "ann", false},
		"valid, of nobody":              {`{"token":"t","object_id":"o","properties":{"x":"ann"},"type":"fcm"}`, "ann", false},
		"no token":                      {`{"user_id":"ann"}`, "ann", true},
		"no token, in another place":    {`{"user_id":"bob","x":"ann"}`, "ann", true},
		"no token, longer":              {`{"user_id":"anna","x":"annabel"}`, "ann", false},
		"no token, in a sentence":       {`{"user_id":"bob","x":"dear ann"}`, "ann", false},
		"no token, a name":              {`{"ann":{"x":1}}`, "ann", true},
		"a number":                      {`{"user_id":1789}`, "1789", true},
		"a number elsewhere":            {`{"id":[{"x":1789}]}`, "1789", true},
		"twice":                         {`{"user_id":"bob","user_id":"ann"}`, "ann", true},
		"a list":                        {`{"user_id":["gdpranna"],"token":"t"}`, "gdpranna", true},
		"nested":                        {`{"event":{"user_id":"gdpranna"}}`, "gdpranna", true},
		"an array":                      {`[{"user_id":"ann"}]`, "ann", true},
		"escaped":                       {`{"user_id":"\u0061nn"}`, "ann", true},
		"JSON in JSON":                  {`"{\"user_id\":\"J\\u00fcrgen\",\"token\":\"t\"}"`, "J\u00fcrgen", true},
		"a form in JSON":                {`{"body":"user_id=J%C3%BCrgen&token=t"}`, "J\u00fcrgen", true},
		"two events":                    {`{"user_id":"bob"}{"user_id":"ann"}`, "ann", true},
		"white space around":            {" \n{\"user_id\":\"ann\"}\n ", "ann", true},
		"NaN, escaped":                  {`{"token": NaN, "user_id": "J\u00fcrgen-gdpr"}`, "J\u00fcrgen-gdpr", true},
		"NaN, escaped in capitals":      {`{"token": NaN, "user_id": "J\u00FCrgen-gdpr"}`, "J\u00fcrgen-gdpr", true},
		"NaN, a solidus":                {`{"token": NaN, "user_id": "a\/b"}`, "a/b", true},
		"NaN, a pair of surrogates":     {`{"token": NaN, "user_id": "\uD83D\ude00 ann"}`, "\U0001f600 ann", true},
		"Python":                        {`{'user_id': 'gdpranna', 'token': 'bad-x'}`, "gdpranna", true},
		"Python, ascii()":               {`{'user_id': 'J\xfcrgen \U0001f600'}`, "J\u00fcrgen \U0001f600", true},
		"Python, bytes":                 {`b'{"user_id": "J\xc3\xbcrgen"}'`, "J\u00fcrgen", true},
		"a form":                        {`user_id=gdpranna&token=abc`, "gdpranna", true},
		"a form, encoded":               {`token=abc&user_id=J%c3%BCrgen+M%2Fx`, "J\u00fcrgen M/x", true},
		"a form with JSON":              {`data=%7B%22user_id%22%3A%22J%5Cu00fcrgen%22%7D`, "J\u00fcrgen", true},
		"XML":                           {`<user id="J&#252;rgen &amp; co"/>`, "J\u00fcrgen & co", true},
		"Latin-1":                       {"{\"user_id\":\"J\xfcrgen\"}", "J\u00fcrgen", true},
		"UTF-16":                        {"\xff\xfe{\x00\"\x00u\x00\"\x00:\x00\"\x00J\x00\xfc\x00r\x00g\x00e\x00n\x00\"\x00", "J\u00fcrgen", true},
		"MessagePack":                   {"\x81\xa7user_id\xa8gdpranna\xa5token\xa1t", "gdpranna", true},
		"cut short":                     {`{"token":"t","user_id":"ann","prop`, "ann", true},
		"cut short behind it":           {`{"user_id":"gdpranna`, "gdpranna", true},
		"cut short in an escape":        {`{"user_id":"ann","x":"\u00`, "ann", true},
		"cut short, in another field":   {`{"token":"t","User":"ann","prop`, "ann", true},
		"a log line":                    {`no user gdpranna.`, "gdpranna", true},
		"no JSON, longer":               {`user_id=anna&x=joann&y=ann-1&z=ann.x&a=0_ann&b=ann@example.org`, "ann", false},
		"no JSON, longer beyond ASCII":  {"user_id=ann\u00e9", "ann", false},
		"no JSON, with a mark":          {"user_id=ann\u0301", "ann", false},
		"no JSON, with a joint of none": {`- ann- -ann_`, "ann", true},
		"short":                         {`{"user_id":"17"}`, "17", true},
		"short, a number":               {`{"user_id":17}`, "17", true},
		"short, a list":                 {`{"x":{"user_id":["7"]}}`, "7", true},
		"short, elsewhere":              {`{"user_id":"bob","lat":"17","long":17}`, "17", false},
		"short, cut":                    {`{"user_id":"17`, "17", false},
		"short, cut behind it":          {`{"user_id":"17"`, "17", true},
		"short, Python":                 {`{'user_id': '17'}`, "17", true},
		"short, a form":                 {`user_id=17`, "17", false},
		"nothing":                       {``, "ann", false},
		"null":                          {`null`, "null", false},
	} {
		if got := dlq.Names([]byte(c.body), "", c.user, ""); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := dlq.Names([]byte(strings.ReplaceAll(c.body, "user_id", "object_id")), "", "", c.user); got != c.want && !strings.HasPrefix(name, "valid") {
			t.Errorf("%s, as object_id: %v", name, got)
		}
	}
}

// A header counts where the body does not say whose the event is.
func TestSearchOfHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header, body, user string
		want               bool
	}{
		"no event":                     {"X-User: gdpranna", `no event`, "gdpranna", true},
		"no event, another":            {"X-User: gdprannabel", `no event`, "gdpranna", false},
		"an event without one":         {"X-User: gdpranna", `{"token":"t","object_id":"o"}`, "gdpranna", true},
		"another's event":              {"X-User: gdpranna", `{"token":"t","user_id":"bob"}`, "gdpranna", false},
		"Latin-1":                      {"X-User: M\xfcller", `{}`, "M\u00fcller", true},
		"a form":                       {"X-User: id=M%C3%BCller", `{}`, "M\u00fcller", true},
		"in a sentence":                {"X-User: dear gdpranna", `{}`, "gdpranna", false},
		"what the broker would refuse": {"Dlq-Original-Nats-Msg-Id: gdpranna", `{}`, "gdpranna", true},
		"a letter's own":               {"Dlq-Provider: courier", `{}`, "courier", false},
		"short":                        {"X-User: 17", `{}`, "17", false},
	} {
		key, value, _ := strings.Cut(c.header, ": ")
		found, valid := dlq.Search(nats.Header{"X-Other": {"a", "b"}, key: {"c", value}}, []byte(c.body), "", c.user, "")
		if found != c.want || valid != strings.Contains(c.body, `"t"`) {
			t.Errorf("%s: found %v, valid %v", name, found, valid)
		}
	}
}

// Any id is found in any form of it, and none in a valid event of another.
func TestNamesInEveryForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9äöüß\x{416}😀]([A-Za-z0-9äöüß\x{416}😀 ._@:/|+"'&-]{1,20}[A-Za-z0-9äöüß\x{416}😀])`).Draw(r, "id")
		ascii := strconv.QuoteToASCII(id)
		var escaped strings.Builder
		for _, unit := range utf16.Encode([]rune(id)) {
			fmt.Fprintf(&escaped, `\u%04X`, unit)
		}
		for name, body := range map[string]string{
			"plain":          "user " + id + " has no token",
			"JSON":           `{"a":[{"b":"` + escaped.String() + `"}]}`,
			"escaped":        `{"token":NaN,"user_id":"` + escaped.String() + `"}`,
			"JSON in JSON":   strconv.QuoteToASCII(`{"user_id":"` + escaped.String() + `"}`),
			"Go":             `event{UserID:` + ascii + `}`,
			"a form":         url.Values{"token": {"t"}, "user_id": {id}}.Encode(),
			"a path":         "/users/" + url.PathEscape(id) + "/tokens",
			"XML":            "<user>" + html.EscapeString(id) + "</user>",
			"JSON in a form": url.Values{"data": {`{"user_id":"` + escaped.String() + `"`}}.Encode(),
			"behind its end": `{"user_id":"` + id,
		} {
			if !dlq.Names([]byte(body), "", id, "") {
				r.Fatalf("%s: not found in %s", name, body)
			}
			other := fmt.Sprintf(`{"user_id":"somebody else","token":%q,"type":"fcm","properties":{"x":%q}}`, base64.StdEncoding.EncodeToString([]byte(body)), ascii)
			if dlq.Names([]byte(other), "", id, "") {
				r.Fatalf("%s: %s is another's", name, other)
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte(`{"user_id":"\u00fc%41&#65;\xff`), "\u00fc")
	f.Fuzz(func(t *testing.T, body []byte, value string) {
		quoted := append(append([]byte(`{"user_id" "`), body...), `"`...)
		if found, valid := dlq.Search(nil, append(quoted, ` '`+value+`'`...), "", value, ""); !found && value != "" || valid {
			t.Errorf("found %v, valid %v", found, valid)
		}
		dlq.Search(nats.Header{"X": {value}}, body, value, value, "")
	})
}
