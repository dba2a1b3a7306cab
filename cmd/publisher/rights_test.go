package main

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// strict is a world whose server asks who one is.
func strict(t *testing.T, configuration string) (*world, *brokertest.Strict) {
	t.Helper()
	s := brokertest.NewStrict(t, configuration)
	return newWorldOn(t, &brokertest.Broker{Conn: s.Conn, JS: s.JS}, s.Environment()), s
}

// The rights that the runbook lists for an app are all that it needs, and the
// operator's are enough for an import that goes on where it was cut off.
func TestTheRightsOfTheRunbook(t *testing.T) {
	t.Parallel()
	app, _ := strict(t, brokertest.OfTheRunbook(t, "app"))
	app.run(bounded(t), "", "send", "--token=t", "--type=fcm", "--user-id=u").want(t, 0, "stored: stream TOKENS, sequence 1")
	// On a provider's own subject the headers of a replay are believed.
	app.run(bounded(t), "", "send", "--token=t", "--type=fcm", "--user-id=u", "--to=courier").want(t, 1, "lacks a right: to publish to tokens.registered.courier")

	operator, _ := strict(t, brokertest.OfTheRunbook(t, "operator"))
	operator.run(bounded(t), "", "send", "--token=t", "--type=fcm", "--user-id=u", "--to=courier").want(t, 0, "stored: stream TOKENS, sequence 1")
	file := operator.write(t, "in.jsonl", jsonLines(1, 50))
	operator.run(bounded(t), "", "import", file).want(t, 0, "50 events")
}

// What a right is missing for is told, not that time is up.
func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	w, s := strict(t, brokertest.Users(brokertest.Admin, brokertest.Without("publish", "tokens.registered")))
	w.run(bounded(t), "", "send", "--token=t", "--type=fcm", "--user-id=u").want(t, 1, "lacks a right: to publish to tokens.registered")
	file := w.write(t, "in.jsonl", jsonLines(1, 3))
	w.run(bounded(t), "", "import", file).want(t, 1, "line 1: not confirmed", "lacks a right: to publish to tokens.registered", "run the same command again to go on")
	// Run again, it would look first for what was stored.
	s.Grant(brokertest.Users(brokertest.Admin, brokertest.Without("publish", "$JS.API.>")))
	w.run(bounded(t), "", "import", file).want(t, 1, "look for what was stored after line 0: the NATS user may not publish to $JS.API.")
	s.Grant(brokertest.Users(brokertest.Admin, brokertest.Anything))
	w.run(bounded(t), "", "import", file).want(t, 0, "3 events")
	w.once(t, 3)
}
