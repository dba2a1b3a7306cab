package publisher_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/publisher"
)

func TestPublishStoresTheEvent(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	ack, err := p.Publish(bounded(t), sample(1))
	if want := (publisher.Ack{Stream: "TOKENS", Seq: 1, ID: "login-1"}); err != nil || ack != want {
		t.Fatalf("Publish = %+v, %v; want %+v", ack, err, want)
	}
	m, err := stream.GetMsg(bounded(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "tokens.registered" || m.Header.Get("Nats-Msg-Id") != "login-1" || len(m.Header) != 1 {
		t.Errorf("stored on %q with %v", m.Subject, m.Header)
	}
	if stored, err := event.Decode(m.Data); err != nil || stored.Token != "token-1" || stored.ID != "login-1" {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

func TestPublishMakesUpAnID(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	ev := sample(1)
	ev.ID = ""
	first, err := p.Publish(bounded(t), ev)
	if err != nil || first.ID == "" {
		t.Fatalf("Publish = %+v, %v", first, err)
	}
	m, err := stream.GetMsg(bounded(t), first.Seq)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := event.Decode(m.Data)
	if err != nil || stored.ID != first.ID || m.Header.Get("Nats-Msg-Id") != first.ID {
		t.Errorf("id %q in the ack, %q in the body, %q in the header", first.ID, stored.ID, m.Header.Get("Nats-Msg-Id"))
	}
	if second, err := p.Publish(bounded(t), ev); err != nil || second.ID == first.ID || second.Duplicate {
		t.Errorf("the next without an id = %+v, %v", second, err)
	}
}

func TestPublishTwiceStoresOnce(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	for _, want := range []publisher.Ack{
		{Stream: "TOKENS", Seq: 1, ID: "login-1"},
		{Stream: "TOKENS", Seq: 1, ID: "login-1", Duplicate: true},
	} {
		if ack, err := p.Publish(bounded(t), sample(1)); err != nil || ack != want {
			t.Errorf("Publish = %+v, %v; want %+v", ack, err, want)
		}
	}
	if n := messages(t, stream); n != 1 {
		t.Errorf("%d messages stored", n)
	}
}

func TestPublishToOneProvider(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	ev := sample(1)
	ev.Destinations = []string{event.CleverTap}
	ack, err := p.Publish(bounded(t), ev, publisher.To(event.Courier), publisher.Header("Dlq-Id", "x"), publisher.ReportTo("_INBOX.here"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(bounded(t), ack.Seq)
	if err != nil || m.Subject != "tokens.registered.courier" ||
		m.Header.Get("Dlq-Id") != "x" || m.Header.Get("Outcome-Reply") != "_INBOX.here" {
		t.Errorf("stored %+v, %v", m, err)
	}
	ev.UserID = ""
	if _, err := p.Publish(bounded(t), ev, publisher.To(event.Courier)); !violates(err, "user_id") {
		t.Errorf("without user_id for Courier: %v", err)
	}
	if _, err := p.PublishRaw(bounded(t), "x", []byte("{}"), publisher.To("nobody")); err == nil {
		t.Error("an unknown provider was taken")
	}
}

func TestPublishRawSendsByteForByte(t *testing.T) {
	t.Parallel()
	_, stream, p := world(t)
	for i, body := range []string{" not even JSON\n", ""} {
		ack, err := p.PublishRaw(bounded(t), "", []byte(body))
		if err != nil || ack.ID == "" {
			t.Fatalf("PublishRaw = %+v, %v", ack, err)
		}
		m, err := stream.GetMsg(bounded(t), uint64(i+1))
		if err != nil || string(m.Data) != body || m.Header.Get("Nats-Msg-Id") != ack.ID {
			t.Errorf("stored %+v, %v", m, err)
		}
	}
}

func TestMistakesShowUpAtTheCaller(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	p := open(t, b.JS, publisher.Settings{}) // no stream: nothing here may need one
	for field, bend := range map[string]func(*event.Event){
		"token":        func(ev *event.Event) { ev.Token = "" },
		"type":         func(ev *event.Event) { ev.Type = "pigeon" },
		"object_id":    func(ev *event.Event) { ev.ObjectID, ev.Destinations = "", []string{"clevertap"} },
		"destinations": func(ev *event.Event) { ev.Destinations = []string{"carrier"} },
		"id":           func(ev *event.Event) { ev.ID = "a\r\nNats-Rollup: all" },
	} {
		ev := sample(1)
		bend(&ev)
		_, syncErr := p.Publish(bounded(t), ev)
		_, asyncErr := p.PublishAsync(bounded(t), ev)
		if !violates(syncErr, field) || !violates(asyncErr, field) {
			t.Errorf("%s: %v, %v", field, syncErr, asyncErr)
		}
		if strings.Contains(syncErr.Error(), "user-1") || strings.Contains(syncErr.Error(), "token-1") {
			t.Errorf("personal data in %q", syncErr)
		}
	}
}

func violates(err error, field string) bool {
	v, ok := errors.AsType[*event.Violation](err)
	return ok && v.Field == field
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*jetstream.StreamConfig)
		size int
		opts []publisher.Option
		want error
		code int
	}{
		"larger than the stream takes": {size: event.MaxBytes, want: publisher.ErrTooLarge, code: 10054},
		"larger than the server takes": {size: 2 << 20, want: publisher.ErrTooLarge},
		"full by bytes": {
			bend: func(c *jetstream.StreamConfig) { c.MaxBytes = 1000 }, size: 600,
			want: publisher.ErrStreamFull, code: 10077,
		},
		"full by count": {
			bend: func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }, size: 1,
			want: publisher.ErrStreamFull, code: 10077,
		},
		"another stream expected": {
			size: 1, opts: []publisher.Option{publisher.Header("Nats-Expected-Stream", "OTHER")},
			want: publisher.ErrExpectation, code: 10060,
		},
		"another last sequence expected": {
			size: 1, opts: []publisher.Option{publisher.Header("Nats-Expected-Last-Sequence", "7")},
			want: publisher.ErrExpectation, code: 10071,
		},
		"a header that the stream does not allow": {
			size: 1, opts: []publisher.Option{publisher.Header("Nats-TTL", "1h")},
			code: 10166,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			declare(t, b.JS, c.bend)
			p := open(t, b.JS, publisher.Settings{})
			if errors.Is(c.want, publisher.ErrStreamFull) {
				if _, err := p.PublishRaw(bounded(t), "", make([]byte, c.size)); err != nil {
					t.Fatalf("the first, which has room: %v", err)
				}
			}
			ack, err := p.PublishRaw(bounded(t), "mine", make([]byte, c.size), c.opts...)
			if err == nil {
				t.Fatalf("stored: %+v", ack)
			}
			if c.want != nil && !errors.Is(err, c.want) || errors.Is(err, publisher.ErrUnconfirmed) {
				t.Errorf("%v; want %v", err, c.want)
			}
			if ack.ID != "mine" || ack.Seq != 0 {
				t.Errorf("ack %+v beside the error", ack)
			}
			refusal, ok := errors.AsType[*publisher.Refusal](err)
			if ok != (c.code != 0) || ok && (refusal.Code != c.code || refusal.Description == "") {
				t.Errorf("refusal %+v; want code %d", refusal, c.code)
			}
			if strings.Count(err.Error(), "publisher:") != 1 || strings.Contains(err.Error(), "\n") {
				t.Errorf("not one clear line: %q", err)
			}
		})
	}
}

func TestNoStreamIsTriedAgainUntilTheEnd(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	p := open(t, b.JS, publisher.Settings{GiveUp: 300 * time.Millisecond})
	_, err := p.Publish(bounded(t), sample(1))
	// The end may fall between a sending and its answer, and then nobody knows.
	if !errors.Is(err, publisher.ErrNoStream) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a stream: %v", err)
	}

	p = open(t, b.JS, publisher.Settings{})
	ctx, cancel := context.WithCancelCause(bounded(t))
	fed := errors.New("the caller is fed up")
	pending, err := p.PublishAsync(ctx, sample(1)) // not bounded by ctx once it is under way
	if err != nil {
		t.Fatal(err)
	}
	cancel(fed)
	stream := declare(t, b.JS, nil)
	if ack, err := pending.Wait(bounded(t)); err != nil || ack.Seq != 1 {
		t.Errorf("a stream that appears later: %+v, %v", ack, err)
	}
	if _, err := p.Publish(ctx, sample(2)); !errors.Is(err, fed) {
		t.Errorf("with a context that is done: %v", err)
	}
	if n := messages(t, stream); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestSilentBrokerLeavesTheEventUnconfirmed(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	// Somebody listens who never answers: an ack that gets lost.
	deaf, err := b.Conn.SubscribeSync("tokens.registered")
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, b.JS, publisher.Settings{AckWait: 50 * time.Millisecond, GiveUp: 500 * time.Millisecond})
	ack, err := p.Publish(bounded(t), sample(1))
	if !errors.Is(err, publisher.ErrUnconfirmed) || ack.ID != "login-1" {
		t.Errorf("%+v, %v", ack, err)
	}
	for range 2 { // sent again, with the same id
		m, err := deaf.NextMsgWithContext(bounded(t))
		if err != nil || m.Header.Get("Nats-Msg-Id") != "login-1" {
			t.Fatalf("sending: %+v, %v", m, err)
		}
	}
}

// The server tells a refusal to the connection and not to the sender, who would
// wait and send again and again.
func TestAMissingRightEndsTheSending(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb, denied, says string
	}{
		{"publish", "tokens.registered", "lacks a right: to publish to tokens.registered"},
		{"subscribe", "_INBOX.>", "lacks a right: to subscribe to its inbox, _INBOX.>"},
	} {
		t.Run(c.verb, func(t *testing.T) {
			t.Parallel()
			s := brokertest.NewStrict(t, brokertest.Users(brokertest.Admin, brokertest.Without(c.verb, c.denied)))
			declare(t, s.JS, nil)
			_, js := brokertest.Connect(t, s.URL, nats.UserInfo("user", "u"))
			p := open(t, js, publisher.Settings{AckWait: 100 * time.Millisecond, GiveUp: time.Hour})
			_, err := p.Publish(bounded(t), sample(1))
			if !errors.Is(err, publisher.ErrNotAllowed) || !errors.Is(err, publisher.ErrUnconfirmed) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want … %s", err, c.says)
			}
			// Granted, it goes on, also where the connection still remembers. An
			// inbox is asked for once a connection.
			s.Grant(brokertest.Users(brokertest.Admin, brokertest.Anything))
			if c.verb == "subscribe" {
				_, js = brokertest.Connect(t, s.URL, nats.UserInfo("user", "u"))
				p = open(t, js, publisher.Settings{})
			}
			if _, err := p.Publish(bounded(t), sample(2)); err != nil {
				t.Errorf("with the right: %v", err)
			}
		})
	}
}

func TestLostAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	sub, err := b.Conn.Subscribe("tokens.registered", func() func(*nats.Msg) {
		first := true
		return func(m *nats.Msg) {
			if !first {
				_ = m.Respond([]byte(`{"stream":"TOKENS","seq":5,"duplicate":true}`))
			}
			first = false
		}
	}())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	p := open(t, b.JS, publisher.Settings{AckWait: 50 * time.Millisecond})
	want := publisher.Ack{Stream: "TOKENS", Seq: 5, Duplicate: true, ID: "login-1"}
	if ack, err := p.Publish(bounded(t), sample(1)); err != nil || ack != want {
		t.Errorf("%+v, %v", ack, err)
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	b, _, p := world(t)
	away := b.Conn.StatusChanged(nats.RECONNECTING)
	b.Stop()
	<-away
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Publish(ctx, sample(1)); !errors.Is(err, publisher.ErrNotConnected) || errors.Is(err, publisher.ErrUnconfirmed) {
		t.Errorf("with the broker away: %v", err)
	}
	b.Conn.Close()
	if _, err := p.Publish(bounded(t), sample(1)); !errors.Is(err, publisher.ErrNotConnected) || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("with the connection closed: %v", err)
	}
}
