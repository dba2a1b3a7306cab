package e2e_test

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// outcome is what a provider reports to who asked.
type outcome struct {
	ID       string `json:"id"`
	Seq      uint64 `json:"stream_seq"`
	Provider string `json:"provider"`
	Outcome  string `json:"outcome"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
}

// Who asks is told by each provider what became of the event.
func TestOutcomesAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fault(event.CleverTap, sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "531"})
	w.fault(event.Courier, sandbox.Rule{Provider: event.Courier, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "400"})
	w.start()
	for _, c := range []struct {
		name, body, id     string // the id that is reported: the event's or else the message's
		cleverTap, courier outcome
	}{
		{"delivered", `{"id":"mine","user_id":"u","object_id":"o","token":"t","type":"fcm"}`, "mine",
			outcome{Outcome: "delivered"}, outcome{Outcome: "delivered"}},
		{"refused", `{"user_id":"u","object_id":"o","token":"bad-1","type":"fcm"}`, "refused",
			outcome{Outcome: "dead", Code: "531"}, outcome{Outcome: "dead", Code: "http_400"}},
		{"skipped", `{"user_id":"u","object_id":"o","token":"t2","type":"fcm","destinations":["clevertap"]}`, "skipped",
			outcome{Outcome: "delivered"}, outcome{Outcome: "skipped"}},
		{"no provider key", `{"user_id":"u","object_id":"o","token":"t3","type":"wns"}`, "no provider key",
			outcome{Outcome: "delivered"}, outcome{Outcome: "skipped"}},
		{"no event", `not json`, "no event",
			outcome{Outcome: "dead", Code: "invalid_event"}, outcome{Outcome: "dead", Code: "invalid_event"}},
	} {
		inbox := nats.NewInbox()
		answers, err := w.broker.Conn.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		seq := w.putMsg("tokens.registered", c.body, nats.Header{"Outcome-Reply": {inbox}, "Nats-Msg-Id": {c.name}})
		got := map[string]outcome{}
		for range event.Providers() {
			message, err := answers.NextMsg(patience)
			if err != nil {
				t.Fatalf("%s: no report: %v", c.name, err)
			}
			var o outcome
			if err := json.Unmarshal(message.Data, &o); err != nil {
				t.Fatalf("%s: %s: %v", c.name, message.Data, err)
			}
			got[o.Provider] = o
		}
		for provider, want := range map[string]outcome{event.CleverTap: c.cleverTap, event.Courier: c.courier} {
			have := got[provider]
			if have.Outcome != want.Outcome || have.Code != want.Code || have.Seq != seq || have.ID != c.id || (have.Reason != "") != (want.Outcome == "dead") {
				t.Errorf("%s: %s reports %+v, want %+v of %q at %d", c.name, provider, have, want, c.id, seq)
			}
		}
	}
	for _, l := range w.letters("") {
		if v := l.header.Get("Outcome-Reply"); v != "" {
			t.Errorf("a letter carries the reply subject %q on", v)
		}
	}
}

// The header is chosen by whoever may publish: only an inbox is honoured, or
// anybody could make the worker publish where he may not.
func TestForeignReplySubjectIsIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	everything, err := w.broker.Conn.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	foreign := []string{"tokens.registered", "tokens.registered.courier", "tokens.dlq.courier.530", "$JS.API.STREAM.DELETE.TOKENS",
		"$KV.TOKENS_FLEET.hold.courier", "orders", "_INBOX", "_INBOX.", "_INBOX.>", "_INBOX.*", "_inbox.a", "_INBOX.a b"}
	for i, subject := range foreign {
		w.putMsg("tokens.registered", registration(i), nats.Header{"Outcome-Reply": {subject}})
	}
	w.settled()
	inbox := nats.NewInbox()
	w.putMsg("tokens.registered", registration(100), nats.Header{"Outcome-Reply": {inbox}})
	w.settled()
	// Its two reports come after all that was published before them.
	for reports := 0; reports < len(event.Providers()); {
		message, err := everything.NextMsg(patience)
		if err != nil {
			t.Fatalf("the last report did not come: %v", err)
		}
		if message.Subject == inbox {
			reports++
			continue
		}
		var o outcome
		if json.Unmarshal(message.Data, &o) == nil && o.Outcome != "" {
			t.Errorf("a report was published to %s", message.Subject)
		}
	}
	w.delivered(event.Courier, append(tokens(0, len(foreign)), token(100))...)
	w.noLetters()
}
