package main

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// strict gives the world a server that asks who one is, with the streams and
// two letters. The world's own connection is the admin's.
func (w *world) strict(configuration string) {
	w.T.Helper()
	s := brokertest.NewStrict(w.T, configuration)
	w.Broker = &brokertest.Broker{Conn: s.Conn, JS: s.JS}
	w.Set(s.Environment()...)
	if s.JetStreamEnabled() {
		if _, err := consumer.Ensure(w.T.Context(), s.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
			w.T.Fatal(err)
		}
		w.dead("ann", "bob")
	}
}

// A right that is missing is named at once, by each command that needs it, and
// nothing is lost.
func TestACommandNamesTheRightThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb, denied, command, named string
	}{
		{"publish", "$JS.API.>", "groups", "publish to $JS.API.STREAM.INFO.TOKENS_DLQ:"},
		{"subscribe", "_INBOX.>", "list", "subscribe to _INBOX.>:"},
		{"publish", "$JS.API.CONSUMER.CREATE.TOKENS_DLQ.>", "export", "publish to $JS.API.CONSUMER.CREATE.TOKENS_DLQ.>:"},
		{"publish", "$JS.API.CONSUMER.MSG.NEXT.>", "list", "publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS_DLQ.>:"},
		{"publish", "$JS.API.STREAM.PURGE.>", "purge --all --yes", "publish to $JS.API.STREAM.PURGE.TOKENS_DLQ:"},
		{"publish", "tokens.registered.*", "replay --all --yes", "publish to tokens.registered.courier:"},
		{"publish", "tokens.registered.*", "replay --all --yes --trial 0", "publish to tokens.registered.courier:"},
		{"publish", "$JS.API.STREAM.MSG.DELETE.>", "erase --user - --yes", "publish to $JS.API.STREAM.MSG.DELETE."},
	} {
		t.Run(c.command+" without "+c.denied, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.strict(brokertest.Users(brokertest.Admin, brokertest.Without(c.verb, c.denied)))
			done := w.dlq("user-ann\n", strings.Fields(c.command)...)
			done.want(t, 1, "dlq: the NATS user may not "+c.named)
			if n := len(w.letters()); n != 2 {
				t.Errorf("%d letters, want both", n)
			}
		})
	}
}

func TestJetStreamIsOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strict(brokertest.Users(brokertest.Admin, brokertest.Anything) + "jetstream: false\n")
	w.dlq("", "groups").want(t, 1, "dlq: nobody answers for JetStream: is it enabled on the NATS server")
}

// The rights that the runbook lists for an operator are all that is needed.
func TestTheOperatorsRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier,clevertap")
	w.strict(brokertest.OfTheRunbook(t, "operator"))
	admin := w.Environment()
	w.Set("NATS_USER=admin", "NATS_PASSWORD=a")
	w.Worker()
	for _, setting := range admin {
		w.Set(setting)
	}
	w.dead("cyd", "dan")
	w.Put(only(event.Courier, "eve"))
	w.settled(event.Courier, 0)
	w.dlq("", "groups").want(t, 0, "4 letters in 1 group")
	w.dlq("", "list").want(t, 0)
	id := w.letters()[0].ID
	w.dlq("", "show", id).want(t, 0, id)
	w.dlq("", "export").want(t, 0)
	w.dlq("", "replay", "--all", "--dry-run").want(t, 0)
	w.dlq("user-ann\n", "erase", "--user", "-", "--yes").want(t, 0, "erased: 1 letter and 0 events")
	w.dlq("bob\n", "replay", "--token", "-", "--yes").want(t, 0, "1 replayed (1 delivered), 0 left")
	w.dlq("cyd\n", "purge", "--token", "-", "--yes").want(t, 0, "1 letter removed")
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 0, "1 replayed (1 delivered), 0 left")
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d letters are left", n)
	}
}
