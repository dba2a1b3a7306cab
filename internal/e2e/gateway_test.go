package e2e_test

import (
	"net/http"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A gateway that answers some of the calls in the provider's place kills
// nothing: it has refused no record, whatever its status.
func TestGatewayThatAnswersSomeCallsKillsNothing(t *testing.T) {
	t.Parallel()
	const page = "<html><h1>404</h1></html>"
	for _, c := range []struct {
		name, provider string
		rule           sandbox.Rule
	}{
		{"a page with 404 to every third call", event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: http.StatusNotFound, Body: page, Every: 3}},
		{"a page with 404 to every third call", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: http.StatusNotFound, Body: page, Every: 3}},
		{"JSON of its own to every second call", event.Courier, sandbox.Rule{Effect: sandbox.Status, Status: http.StatusBadRequest, Body: `{"message":"no route"}`, Every: 2}},
		{"JSON of its own to every second call", event.CleverTap, sandbox.Rule{Effect: sandbox.Status, Status: http.StatusBadRequest, Body: `{"message":"no route"}`, Every: 2}},
		{"a page with 200 to every third call", event.Courier, sandbox.Rule{Effect: sandbox.HTML, Every: 3}},
		{"a page with 200 to every third call", event.CleverTap, sandbox.Rule{Effect: sandbox.HTML, Every: 3}},
	} {
		t.Run(c.provider+" "+c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+c.provider, "CLEVERTAP_BATCH_SIZE=10")
			c.rule.Provider = c.provider
			w.fault(c.provider, c.rule)
			p := w.start()
			w.put(registrations(0, 300)...)
			eventually(t, "most are delivered", func() bool { return w.report(c.provider).Accepted >= 270 })
			w.noLetters()
			// What has bad luck waits longer each time: it is given back for the next pod.
			w.fault(c.provider)
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			w.start()
			w.settled(c.provider)
			w.noLetters()
			w.delivered(c.provider, tokens(0, 300)...)
		})
	}
}
