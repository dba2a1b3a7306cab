package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// Users of a server's configuration: an admin who may do everything, and a
// worker who may do what follows.
const (
	admin    = `{user: admin, password: a}`
	anything = `{user: worker, password: w}`
)

func without(verb, subject string) string {
	return fmt.Sprintf(`{user: worker, password: w, permissions: {%s: {deny: [%q]}}}`, verb, subject)
}

func users(of ...string) string { return "authorization {users: [" + strings.Join(of, "\n") + "]}\n" }

// strictServer is a server with a configuration that can be changed.
type strictServer struct {
	*server.Server
	t         testing.TB
	file      string
	jetStream string
}

// strict gives the world a server with this configuration beside its port and
// store. The world's own connection is the admin's.
func (w *world) strict(configuration string) *strictServer {
	w.t.Helper()
	dir := w.t.TempDir()
	s := &strictServer{t: w.t, file: filepath.Join(dir, "server.conf"), jetStream: fmt.Sprintf("jetstream {store_dir: %q}\n", dir)}
	s.write(configuration)
	options, err := server.ProcessConfigFile(s.file)
	if err != nil {
		w.t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if s.Server, err = server.NewServer(options); err != nil {
		w.t.Fatal(err)
	}
	s.Start()
	w.t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		w.t.Fatal("the server does not start")
	}
	address := s.Addr().String()
	nc, js := brokertest.Connect(w.t, "nats://admin:a@"+address)
	w.broker = &brokertest.Broker{Conn: nc, JS: js}
	w.set("NATS_URL=nats://"+address, "NATS_USER=worker", "NATS_PASSWORD=w")
	return s
}

func (s *strictServer) write(configuration string) {
	s.t.Helper()
	if !strings.Contains(configuration, "jetstream") {
		configuration += s.jetStream
	}
	if err := os.WriteFile(s.file, []byte("listen: 127.0.0.1:-1\n"+configuration), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *strictServer) grant(configuration string) {
	s.t.Helper()
	s.write(configuration)
	if err := s.Reload(); err != nil {
		s.t.Fatal(err)
	}
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
			s := w.strict(users(admin, without(c.verb, c.denied)))
			p := w.prepare()
			started := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() { started <- p.worker.Start(ctx) }()
			eventually(t, "it says what it waits for", func() bool {
				return len(p.log.with("waiting for JetStream", "the NATS user may not "+c.named)) > 0 &&
					strings.Contains(strings.Join(p.readiness().Why, "; "), "starting: the NATS user may not "+c.named)
			})
			s.grant(users(admin, anything))
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
	s := w.strict(users(admin, without("publish", "$JS.API.CONSUMER.MSG.NEXT.>")))
	p := w.start()
	eventually(t, "it names the right", func() bool {
		return len(p.log.with("NATS refuses", "the NATS user may not publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>")) > 0
	})
	w.put(registration(1))
	s.grant(users(admin, anything))
	w.settled()
}

func TestCheckNamesWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	const account = "accounts {A {users: [" + admin + ", " + anything + "]}}\n"
	for name, c := range map[string]struct {
		configuration string
		want          string
	}{
		"JetStream is off":               {users(admin, anything) + "jetstream: false\n", "broken   nobody answers for JetStream: is it enabled"},
		"JetStream is not the account's": {account, "broken   JetStream is not enabled for the account of this NATS user"},
		"its API":                        {users(admin, without("publish", "$JS.API.>")), "may not publish to $JS.API.STREAM.INFO.TOKENS:"},
		"the answers":                    {users(admin, without("subscribe", "_INBOX.>")), "may not subscribe to _INBOX.>:"},
		"the fleet's watch":              {users(admin, without("publish", "$JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>")), "may not publish to $JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>:"},
		"the fleet's state":              {users(admin, without("publish", "$KV.>")), "may not publish to $KV.TOKENS_FLEET.>:"},
		"pulls":                          {users(admin, without("publish", "$JS.API.CONSUMER.MSG.NEXT.>")), "may not publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>:"},
		"acks":                           {users(admin, without("publish", "$JS.ACK.>")), "may not publish to $JS.ACK.TOKENS.>:"},
		"letters":                        {users(admin, without("publish", "tokens.dlq.>")), "may not publish to tokens.dlq.>:"},
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
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(authorization .*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no server configuration in docs/operations.md")
	}
	configuration := strings.Replace(string(block[1]), "$WORKER_PASSWORD", "w", 1)
	configuration = strings.Replace(configuration, "users = [{", "users = ["+admin+", {", 1)
	w := newWorld(t)
	w.strict(configuration)
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
