package scrub_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/internal/scrub"
)

func scrubber(secrets ...string) *scrub.Scrubber {
	return scrub.New(secrets, []providers.Record{{Event: &event.Event{
		Token: "dYfu:APA91bEf/Aq1b6", UserID: "7", ObjectID: `O"Brien äöü`, Type: "fcm", ProviderKey: "firebase-fcm",
		Device:     &event.Device{AppID: "com.example.app", AdID: "38400000-8cf0", Platform: "android", Model: "SM-G930F"},
		Properties: []byte(`{"mail":"a@b.example","ok":"yes","n":[49151123,12],"mail2":{"deep":"Zoë"}}`),
	}}})
}

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", "head"},
		{" \t\r\n\x00", "head"},
		{"all is well", "head: all is well"},
		{"two\nlines\tand \x1b[31mcolour\x07", "head: two lines and [31mcolour"},
		{"turned \u202eround\u2028 and\u00a0on \xff\xfe.", "head: turned round and on ."},
		{"fcm firebase-fcm android SM-G930F com.example.app", "head: fcm firebase-fcm android SM-G930F com.example.app"},

		{"token dYfu:APA91bEf/Aq1b6!", "head: token [redacted]!"},
		{"tokens dYfu:APA91bEf/Aq1b6 DYFU:APA91BEF/AQ1B6", "head: tokens [redacted] [redacted]"},
		{"/users/7/tokens/dYfu:APA91bEf%2FAq1b6", "head: /users/[redacted]/tokens/[redacted]"},
		{"/users/7/tokens/dYfu%3aAPA91bEf%2fAq1b6?x", "head: /users/[redacted]/tokens/[redacted]?x"},
		{`dYfu:APA91bEf\/Aq1b6`, "head: [redacted]"},
		{`\u0064Yfu:APA91bEf\u002FAq1b6`, "head: [redacted]"},
		{`object O\"Brien äöü`, "head: object [redacted]"},
		{`object O\\\"Brien \\u00e4\\u00F6ü`, "head: object [redacted]"},
		{"object O%22Brien+%C3%A4%C3%B6%C3%BC.", "head: object [redacted]."},
		{"object o%22brien%20%c3%84%c3%96%c3%9c.", "head: object [redacted]."},
		{"object O&#34;Brien &auml;&#xf6;&uuml;.", "head: object [redacted]."},
		{"object O&quot;Brien%20äöü.", "head: object [redacted]."},
		{"to\x00ken dYfu:APA\x0191bEf/Aq\x7f1b6", "head: token [redacted]"},

		{"token dYfu:APA\u200b91bEf/Aq1b6 \ufeff", "head: token [redacted]"},

		{"overlapping dYfu:APA91bEf/Aq1b6-and-more", "head: overlapping [redacted]"},

		{"shortened dYfu:APA91bE...", "head: shortened [redacted]..."},
		{"too short dYfu:...", "head: too short dYfu:..."},
		{"user 7 of 77 in 17", "head: user [redacted] of 77 in 17"},
		{"user%207%2f", "head: user%20[redacted]%2f"},
		{"mail a@b.example, yes, 12, 49151123, zOË", "head: mail [redacted], yes, 12, [redacted], [redacted]"},
		{"names are the app's: mail2", "head: names are the app's: mail2"},
		{"100% of \\ & + %zz \\u12 &; \\", "head: 100% of \\ & + %zz \\u12 &; \\"},
		{"[\\ud83d\\ude00 \\ud83d \\udead]", "head: [\\ud83d\\ude00 \\ud83d \\udead]"},
		{"key p@ss/word and p%40ss%2Fword", "head: key [redacted] and [redacted]"},
	} {
		if got := scrubber("p@ss/word", "b6-and-more").Line("head", c.text); got != c.want {
			t.Errorf("%q\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestLineIsShort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ head, text string }{
		{"head", strings.Repeat("x", 10_000)},
		{"head", strings.Repeat("é", 10_000)},
		{"head", strings.Repeat("😀", 200)},
		{"head", strings.Repeat("7 ", 300)},
		{strings.Repeat("é", 200), ""},
		{"", strings.Repeat("e\u0301", 200)},
		{"head", strings.Repeat("y", 1020) + "é"}, // cut within a character
	} {
		for shift := range 4 {
			got := scrubber().Line(c.head, strings.Repeat("a", shift)+c.text)
			if len(got) > 256 || len(got) < 250 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
				t.Errorf("%d bytes: %q", len(got), got)
			}
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "bad_token": true, "530": true, "49151123": false, "dyfu:apa91bef/aq1b6": false, "38400000-8cf0": false,
	} {
		if got := scrubber().Clean(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// BenchmarkWorst: values and a text made to be compared for long.
func BenchmarkWorst(b *testing.B) {
	var records []providers.Record
	for i := range 100 {
		records = append(records, providers.Record{Event: &event.Event{Token: strings.Repeat("%5c", 1300+i/10), UserID: strings.Repeat(`\\`, 256)}})
	}
	s := scrub.New(nil, records)
	text := strings.Repeat(`%5c%255c\\&amp;`, 100)
	for b.Loop() {
		s.Line("", text)
	}
}

// FuzzLine: a line is fit to be read, and the token never stands in it.
func FuzzLine(f *testing.F) {
	f.Add("token dYfu:APA91bEf/Aq1b6", "dYfu:APA91bEf/Aq1b6")
	f.Add("%64Yfu\\u003aAPA&#57;1", "dYfu:APA91")
	f.Add("\\ud83d\\ude00\xff", "\U0001F600\U0001F600")
	const mark = "[redacted]…"
	f.Fuzz(func(t *testing.T, text, token string) {
		s := scrub.New(nil, []providers.Record{{Event: &event.Event{Token: token}}})
		line := s.Line("", text)
		if len(line) > 256 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("%q", line)
		}
		if len(token) >= 4 && !strings.ContainsAny(token, " []") && !strings.Contains(mark, token) && strings.Contains(line, token) {
			t.Errorf("%q shows in %q", token, line)
		}
		s.Clean(text)
	})
}
