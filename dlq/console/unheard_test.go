package console_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/nats-io/nats.go"
)

// A worker that may not announce itself is no missing one: what the broker
// says of it counts.
func TestWorkersThatNobodyHears(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inbox := nats.NewInbox()
	if _, err := w.Broker.Conn.SubscribeSync(inbox); err != nil {
		t.Fatal(err)
	}
	if err := w.Broker.Conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier", inbox, []byte("1")); err != nil {
		t.Fatal(err)
	}
	w.Put(registration("ann"), registration("bob")) // one is taken, and one waits
	o := w.loggedIn("Maja")
	p := o.until("/", "No worker serves CleverTap").want(t, http.StatusOK, "no worker asks the broker for them",
		"does not announce itself", "may not publish on", "<span>tokenrelay.figures</span>").lacks(t, "No worker serves Courier")
	if !regexp.MustCompile(`<dt>workers</dt><dd>0</dd>[\s\S]*<dt>workers</dt><dd>\?</dd>`).MatchString(p.body) {
		t.Errorf("not 0 and ? workers:\n%s", p.body)
	}
}
