package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
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

// volume is a secret as a kubelet mounts it: the file is a link into ..data,
// which is a link to a folder. A change is a new folder and another ..data.
type volume struct {
	t        testing.TB
	dir      string
	versions int
}

func (v *volume) path() string { return filepath.Join(v.dir, "secret") }

func (v *volume) put(secret string) {
	v.t.Helper()
	v.versions++
	version, link := fmt.Sprintf("..%d", v.versions), filepath.Join(v.dir, "..data_tmp")
	err := os.Mkdir(filepath.Join(v.dir, version), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(v.dir, version, "secret"), []byte(secret+"\n"), 0o600)
	}
	if err == nil {
		err = errors.Join(os.Symlink(version, link), os.Rename(link, filepath.Join(v.dir, "..data")))
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// secret lets the worker read this secret from a file.
func (w *world) secret(variable, text string) *volume {
	w.t.Helper()
	v := &volume{t: w.t, dir: w.t.TempDir()}
	v.put(text)
	if err := os.Symlink(filepath.Join("..data", "secret"), v.path()); err != nil {
		w.t.Fatal(err)
	}
	w.set(variable+"=", variable+"_FILE="+v.path())
	return v
}

// A passcode that is rotated under load costs no event and no restart, though
// the provider refuses the former one before the worker knows the next.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	for _, r := range rotations() {
		t.Run(r.provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+r.provider, "HOLD_MIN=1h", "HOLD_MAX=1h", "HTTP_TIMEOUT=500ms", "PERMIT_LEASE=4s")
			file := w.secret(r.variable, r.former)
			pods := []*pod{w.start(), w.start()}
			w.put(registrations(0, 500)...)
			eventually(t, "events flow", func() bool { return w.report(r.provider).Accepted > 0 })
			r.demand(w, "rotated-secret")
			w.put(registrations(500, 500)...)
			eventually(t, "it is held", func() bool { return w.hold(r.provider).Reason == "unauthorized" })
			file.put("rotated-secret")
			w.settled(r.provider) // with a pause of an hour: by the change alone
			w.delivered(r.provider, tokens(0, 1000)...)
			w.noLetters()
			for _, p := range pods {
				eventually(t, "each pod says that its secret has changed", func() bool {
					return p.log.with("a file has changed and is in use", r.variable+"_FILE") != nil
				})
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
	file := w.secret(r.variable, r.former)
	r.demand(w, "rotated-secret")
	w.ensure()
	worker := startWorker(t, w.environment(), "run")
	w.put(registration(1))
	eventually(t, "it is held", func() bool { return w.hold(r.provider).Reason == "unauthorized" })
	file.put("two\nlines")
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
	file.put("rotated-secret")
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

// A call that was open when the key changed is answered after it: the hold that
// it leads to is not the new key's.
func TestTheFormerKeysLastCall(t *testing.T) {
	t.Parallel()
	for _, r := range rotations() {
		t.Run(r.provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS="+r.provider, "HOLD_MIN=1h", "HOLD_MAX=1h")
			file := w.secret(r.variable, r.former)
			p, hangup := w.prepare(), make(chan os.Signal)
			p.worker.RereadAt(hangup)
			if err := p.worker.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.demand(w, "rotated-secret")
			w.fault(r.provider, sandbox.Rule{Effect: sandbox.Hang})
			w.put(registration(1))
			eventually(t, "a call is open", func() bool { return w.report(r.provider).Open == 1 })
			file.put("rotated-secret")
			hangup <- syscall.SIGHUP // at once, for the call has its own time-out
			eventually(t, "the worker has the new key", func() bool { return len(p.log.with("a file has changed and is in use")) == 1 })
			w.fault(r.provider)
			w.settled(r.provider)
			w.delivered(r.provider, token(1))
			w.noLetters()
		})
	}
}

// A server whose user has another password lets the worker go; it comes back as
// soon as its file says the new one, and does not fill the log until then.
func TestRotatedBrokerPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	s := w.strict(brokertest.Users(brokertest.Admin, brokertest.Anything))
	file := w.secret("NATS_PASSWORD", "u")
	p := w.start()
	w.put(registration(1))
	w.settled(event.Courier)
	s.Grant(brokertest.Users(brokertest.Admin, `{user: user, password: rotated-secret}`))
	eventually(t, "it says that it is refused", func() bool { return len(p.log.with("NATS refuses the user")) > 0 })
	w.put(registration(2))
	if p.readiness().Ready {
		t.Error("ready without a broker")
	}
	file.put("rotated-secret")
	w.settled(event.Courier)
	w.delivered(event.Courier, tokens(1, 2)...)
	eventually(t, "it says that the file has changed", func() bool {
		return len(p.log.with("a file has changed and is in use", "NATS_PASSWORD_FILE")) == 1
	})
	if len(p.log.with("rotated-secret")) > 0 {
		t.Error("the log shows the secret")
	}
}
