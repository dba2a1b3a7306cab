package brokertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Users of a Strict server's configuration: an admin who may do everything, and
// a user who may, too; Without is that user with one right less.
const (
	Admin    = `{user: admin, password: a}`
	Anything = `{user: user, password: u}`
)

// Without is the user of a Strict server who may not publish, or subscribe, to
// a subject.
func Without(verb, subject string) string {
	return fmt.Sprintf(`{user: user, password: u, permissions: {%s: {deny: [%q]}}}`, verb, subject)
}

// Users are a Strict server's configuration.
func Users(of ...string) string { return "authorization {users: [" + strings.Join(of, "\n") + "]}\n" }

// Strict is a server that asks who one is, with a configuration that can be
// changed. The test's own connection is the admin's.
type Strict struct {
	*server.Server
	URL  string
	Conn *nats.Conn
	JS   jetstream.JetStream

	t         testing.TB
	file      string
	jetStream string
}

// NewStrict starts a server with this configuration beside its port and store.
func NewStrict(t testing.TB, configuration string) *Strict {
	t.Helper()
	dir := t.TempDir()
	s := &Strict{t: t, file: filepath.Join(dir, "server.conf"), jetStream: fmt.Sprintf("jetstream {store_dir: %q}\n", dir)}
	s.write(configuration)
	options, err := server.ProcessConfigFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if s.Server, err = server.NewServer(options); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	s.URL = "nats://" + s.Addr().String()
	s.Conn, s.JS = Connect(t, s.URL, nats.UserInfo("admin", "a"))
	return s
}

// Environment is how the user without the admin's rights gets there.
func (s *Strict) Environment() []string {
	return []string{"NATS_URL=" + s.URL, "NATS_USER=user", "NATS_PASSWORD=u"}
}

// Grant changes the configuration.
func (s *Strict) Grant(configuration string) {
	s.t.Helper()
	s.write(configuration)
	if err := s.Reload(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Strict) write(configuration string) {
	s.t.Helper()
	if !strings.Contains(configuration, "jetstream") {
		configuration += s.jetStream
	}
	if err := os.WriteFile(s.file, []byte("listen: 127.0.0.1:-1\n"+configuration), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// OfTheRunbook is the configuration that docs/operations.md advises, for a test
// two folders below the project's. The named one of its users is the one that
// Environment leads to.
func OfTheRunbook(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(authorization .*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no server configuration in docs/operations.md")
	}
	configuration := string(block[1])
	named := regexp.MustCompile(`user: ` + name + `, password: \$\w+`)
	if !named.MatchString(configuration) {
		t.Fatalf("no user %s in the configuration of docs/operations.md", name)
	}
	configuration = named.ReplaceAllString(configuration, "user: user, password: u")
	configuration = regexp.MustCompile(`password: \$\w+`).ReplaceAllString(configuration, "password: p")
	return strings.Replace(configuration, "users = [{", "users = ["+Admin+", {", 1)
}
