package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// strict gives the world a server with this configuration. The world's own
// connection is the admin's.
func (w *world) strict(configuration string) *brokertest.Strict {
	w.t.Helper()
	s := brokertest.NewStrict(w.t, configuration)
	w.broker = &brokertest.Broker{Conn: s.Conn, JS: s.JS}
	w.set(s.Environment()...)
	return s
}

// A start that lacks a right says which, waits, and goes on once it has it.
func TestStartWaitsForARight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ verb, denied, named string }{
		{"publish", "$JS.API.>", "publish to $JS.API.STREAM.INFO.TOKENS:"},
		{"publish", "$JS.API.STREAM.CREATE.*", "publish to $JS.API.STREAM.CREATE.TOKENS:"},
		{"publish", "$JS.API.STREAM.INFO.KV_TOKENS_FLEET", "publish to $JS.API.STREAM.INFO.KV_TOKENS_FLEET:"},
		{"publish", "$JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>", "publish to $JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>:"},
		{"subscribe", "_INBOX.>", "subscribe to _INBOX.>:"},
	} {
		t.Run(c.denied, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.strict(brokertest.Users(brokertest.Admin, brokertest.Without(c.verb, c.denied)))
			p := w.prepare()
			started := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() { started <- p.worker.Start(ctx) }()
			eventually(t, "it says what it waits for", func() bool {
				return len(p.log.with("waiting for JetStream", "the NATS user may not "+c.named)) > 0 &&
					strings.Contains(strings.Join(p.readiness().Why, "; "), "starting: the NATS user may not "+c.named)
			})
			s.Grant(brokertest.Users(brokertest.Admin, brokertest.Anything))
			if err := <-started; err != nil {
				t.Fatalf("start: %v", err)
			}
			if !p.readiness().Ready {
				t.Error("not ready after its start")
			}
			w.put(registration(1))
			w.settled()
		})
	}
}

// What a worker needs only when events flow shows in the log, not at each try.
func TestAWorkingPodNamesTheRightItLacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.strict(brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.CONSUMER.MSG.NEXT.>")))
	p := w.start()
	eventually(t, "it names the right", func() bool {
		return len(p.log.with("NATS refuses", "the NATS user may not publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>")) > 0
	})
	w.put(registration(1))
	s.Grant(brokertest.Users(brokertest.Admin, brokertest.Anything))
	w.settled()
}

func TestCheckNamesWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	const account = "accounts {A {users: [" + brokertest.Admin + ", " + brokertest.Anything + "]}}\n"
	for name, c := range map[string]struct {
		configuration string
		want          string
	}{
		"JetStream is off":               {brokertest.Users(brokertest.Admin, brokertest.Anything) + "jetstream: false\n", "broken   nobody answers for JetStream: is it enabled"},
		"JetStream is not the account's": {account, "broken   JetStream is not enabled for the account of this NATS user"},
		"its API":                        {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.>")), "may not publish to $JS.API.STREAM.INFO.TOKENS:"},
		"the answers":                    {brokertest.Users(brokertest.Admin, brokertest.Without("subscribe", "_INBOX.>")), "may not subscribe to _INBOX.>:"},
		"the fleet's watch":              {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>")), "may not publish to $JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>:"},
		"the fleet's state":              {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$KV.>")), "may not publish to $KV.TOKENS_FLEET.>:"},
		"pulls":                          {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.CONSUMER.MSG.NEXT.>")), "may not publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>:"},
		"acks":                           {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.ACK.>")), "may not publish to $JS.ACK.TOKENS.>:"},
		"letters":                        {brokertest.Users(brokertest.Admin, brokertest.Without("publish", "tokens.dlq.>")), "may not publish to tokens.dlq.>:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.strict(c.configuration)
			if s.JetStreamEnabled() && !strings.HasPrefix(c.configuration, "accounts") {
				w.ensure()
			}
			done := runWorker(t, w.environment(), "check")
			if done.code != 1 || strings.Count(done.stdout, "broken ") != 1 || !strings.Contains(done.stdout, c.want) {
				t.Errorf("exit %d; want 1 and one broken line with %q:\n%s", done.code, c.want, done.stdout)
			}
		})
	}
}

// The rights that the runbook lists are all that is needed.
func TestTheRightsOfTheRunbook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strict(brokertest.OfTheRunbook(t, "worker"))
	p := w.start()
	w.put(registration(1), "{}")
	w.settled()
	done := runWorker(t, w.environment(), "check")
	if done.code != 0 || !strings.Contains(done.stdout, "ok       rights:") {
		t.Errorf("check: exit %d\n%s", done.code, done.stdout)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if lines := p.log.with("NATS refuses"); len(lines) > 0 {
		t.Errorf("a right is missing in the runbook:\n%s", strings.Join(lines, "\n"))
	}
}
