package publisher_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	outcomes, err := publisher.ListenOutcomes(b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(outcomes.Subject(), "_INBOX.") {
		t.Errorf("inbox %q", outcomes.Subject())
	}
	for _, report := range []string{
		"noise", "{}", `{"provider":"clevertap"}`, // anybody may write to an inbox
		`{"id":"a","stream_seq":7,"provider":"clevertap","outcome":"delivered","code":"","reason":""}`,
		`{"id":"a","stream_seq":7,"provider":"courier","outcome":"dead","code":"http_400","reason":"no such thing","later":1}`,
	} {
		if err := b.Conn.Publish(outcomes.Subject(), []byte(report)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []publisher.Outcome{
		{ID: "a", StreamSeq: 7, Provider: "clevertap", Outcome: "delivered"},
		{ID: "a", StreamSeq: 7, Provider: "courier", Outcome: "dead", Code: "http_400", Reason: "no such thing"},
	} {
		if got, err := outcomes.Next(bounded(t)); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := outcomes.Next(expired()); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is over: %v", err)
	}
	if err := outcomes.Close(); err != nil {
		t.Error(err)
	}
	b.Conn.Close()
	if _, err := publisher.ListenOutcomes(b.Conn); err == nil {
		t.Error("listening on a closed connection")
	}
}

// The header that names the inbox is chosen by whoever publishes events.
func TestTellTellsAnInboxOnly(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	heard, err := b.Conn.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	report := publisher.Outcome{StreamSeq: 7, Provider: "clevertap", Outcome: "delivered"}
	for _, inbox := range []string{
		"", "tokens.registered", "$JS.API.STREAM.DELETE.TOKENS", "_INBOX", "_INBOX.", "_INBOX.*", "_INBOX.a.>", "_INBOX.a b", "_INBOX.a\r\nPUB x 0",
		"_INBOX..a", "_INBOX.a.", "_INBOX." + strings.Repeat("a", 300), "_INBOX.good.one",
	} {
		if err := report.Tell(b.Conn, inbox); err != nil {
			t.Errorf("%q: %v", inbox, err)
		}
	}
	m, err := heard.NextMsgWithContext(bounded(t))
	if err != nil || m.Subject != "_INBOX.good.one" || string(m.Data) != `{"stream_seq":7,"provider":"clevertap","outcome":"delivered"}` {
		t.Errorf("first heard: %+v, %v", m, err)
	}
}
