package e2e_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// A pod that cannot take permits says why: in the log, once, in /readyz and in
// `worker check`. It goes on when it can.
func TestAPodThatCannotTakePermitsSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure()
	limit := func(bytes int64) {
		stream, err := w.broker.JS.Stream(t.Context(), "KV_TOKENS_FLEET")
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		config.MaxBytes = bytes
		if _, err := w.broker.JS.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	limit(256)
	p := w.start()
	w.put(registrations(0, 10)...)
	w.settled(event.Courier)
	eventually(t, "the log says so", func() bool { return len(p.log.with("no permit can be taken", "maximum bytes exceeded")) > 0 })
	if state := p.readiness(); !state.Ready || !strings.Contains(state.Note, "clevertap: no permit can be taken") {
		t.Errorf("/readyz says %+v", state)
	}
	done := runWorker(t, w.environment(), "check")
	if done.code != 1 || !strings.Contains(done.stdout, "broken   clevertap: no permit can be taken") {
		t.Errorf("check: exit %d\n%s", done.code, done.stdout)
	}
	if n := len(p.log.with("no permit can be taken")); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	limit(-1)
	w.settled()
	w.delivered(event.CleverTap, tokens(0, 10)...)
	if note := p.readiness().Note; note != "" {
		t.Errorf("/readyz still says %q", note)
	}
}

// A pod that cannot store its letters gives its permits to one that can.
func TestAPodStuckWithItsLettersGivesUpItsPermits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=clevertap", "CLEVERTAP_MAX_CONCURRENT=1")
	mute := brokertest.Without("publish", "tokens.dlq.>")
	other := strings.NewReplacer("user: user", "user: other", "password: u", "password: o").Replace(brokertest.Anything)
	w.strict(brokertest.Users(brokertest.Admin, mute, other))
	w.fault(event.CleverTap, sandbox.Rule{Provider: event.CleverTap, Token: sandbox.Match{Prefix: "bad"}, Effect: sandbox.Refuse, Code: "530"})
	first := w.start()
	eventually(t, "the first pod has the permit", func() bool { return first.metrics().of(t, "permits_held", event.CleverTap) == 1 })
	w.set("NATS_USER=other", "NATS_PASSWORD=o")
	second := w.start()
	for n := range 90 { // more than a pod stores at a time, and fewer than would speak against CleverTap
		w.put(registrationOf("bad-"+token(n)), registration(n))
	}
	eventually(t, "the second pod has the permit", func() bool { return second.metrics().of(t, "permits_held", event.CleverTap) == 1 })
	if n := len(first.log.with("letters cannot be stored: others may have the permits")); n != 1 {
		t.Errorf("the log of the first says it %d times", n)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	w.settled(event.CleverTap)
	if n := len(w.letters("")); n != 90 {
		t.Errorf("%d letters, want 90", n)
	}
}
