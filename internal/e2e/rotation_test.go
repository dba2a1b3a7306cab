package e2e_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

// rotation is how a provider's passcode or key changes.
type rotation struct {
	provider, variable, former string
	demand                     func(w *world, secret string) // at the provider
}

func rotations() []rotation {
	return []rotation{
		{event.CleverTap, "CLEVERTAP_PASSCODE", "sandbox-passcode", func(w *world, secret string) { w.cleverTap.SetPasscode(secret) }},
		{event.Courier, "COURIER_API_KEY", "sandbox-key", func(w *world, secret string) { w.courier.SetAPIKey(secret) }},
	}
}

// secretFile lets the worker read the secret from a file.
func (w *world) secretFile(r rotation) string {
	w.t.Helper()
	path := filepath.Join(w.t.(*testing.T).TempDir(), "secret")
	w.rewrite(path, r.former)
	w.set(r.variable+"=", r.variable+"_FILE="+path)
	return path
}

func (w *world) rewrite(path, content string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// A passcode that is rotated under load costs no event and no restart, though
// the provider refuses the former one before the worker knows the next.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	for _, r := range rotations() {
		t.Run(r.provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+r.provider, "HOLD_MIN=1h", "HOLD_MAX=1h", "HTTP_TIMEOUT=500ms", "PERMIT_LEASE=4s")
			path := w.secretFile(r)
			pods := []*pod{w.start(), w.start()}
			w.put(registrations(0, 500)...)
			eventually(t, "events flow", func() bool { return w.report(r.provider).Accepted > 0 })
			r.demand(w, "rotated-secret")
			w.put(registrations(500, 500)...)
			eventually(t, "it is held", func() bool { return w.hold(r.provider).Reason == "unauthorized" })
			w.rewrite(path, "rotated-secret")
			w.settled(r.provider) // with a pause of an hour: by the change alone
			w.delivered(r.provider, tokens(0, 1000)...)
			w.noLetters()
			for _, p := range pods {
				if p.log.with("a file has changed and is in use", r.variable+"_FILE") == nil {
					t.Error("a pod does not say that its secret has changed")
				}
				if len(p.log.with("rotated-secret")) > 0 {
					t.Error("the log shows the secret")
				}
			}
		})
	}
}

// SIGHUP ends nothing: the files are read again at once.
func TestHangupReadsFilesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier", "HOLD_MIN=1h", "HOLD_MAX=1h")
	r := rotations()[1]
	path := w.secretFile(r)
	r.demand(w, "rotated-secret")
	w.ensure()
	worker := startWorker(t, w.environment(), "run")
	w.put(registration(1))
	eventually(t, "it is held", func() bool { return w.hold(r.provider).Reason == "unauthorized" })
	w.rewrite(path, "two\nlines")
	hangup := func() {
		t.Helper()
		if err := worker.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	eventually(t, "it says what is wrong", func() bool {
		return len(worker.stderr.with("a file cannot be used", "COURIER_API_KEY_FILE", "must hold one line")) == 1
	})
	w.rewrite(path, "rotated-secret")
	hangup()
	w.settled(r.provider)
	w.delivered(r.provider, token(1))
	if lines := worker.stderr.with("SIGHUP"); len(lines) == 0 {
		t.Error("it does not say that it was told to")
	}
	if code := worker.terminate(); code != 0 {
		t.Errorf("exit %d after SIGTERM", code)
	}
}
