package config_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

// connected is a connection by these variables.
func connected(t *testing.T, env ...string) *nats.Conn {
	t.Helper()
	p := parse([]string{"resume", "courier"}, env)
	wantLines(t, p, nil)
	conn, err := p.cli.Resume.NATS.Connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newUser(t *testing.T) (seed, public string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := key.Seed()
	public, _ = key.PublicKey()
	return string(text), public
}

// A server whose user has changed lets go of the connection. The client comes
// back with what the file says then, whichever of the two changed first.
func TestRotatedUser(t *testing.T) {
	t.Parallel()
	formerSeed, former := newUser(t)
	nextSeed, next := newUser(t)
	for name, c := range map[string]struct {
		former, next string // users of the server's configuration
		file, then   string // what the file says
		env          []string
	}{
		"password": {`{user: me, password: hunter1}`, `{user: me, password: hunter2}`, "hunter1\n", "hunter2\n", []string{"NATS_USER=me", "NATS_PASSWORD_FILE="}},
		"nkey":     {fmt.Sprintf("{nkey: %s}", former), fmt.Sprintf("{nkey: %s}", next), formerSeed, nextSeed, []string{"NATS_NKEY_FILE="}},
	} {
		for _, first := range []string{"server", "file"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				t.Parallel()
				broker := brokertest.NewStrict(t, brokertest.Users(brokertest.Admin, c.former))
				file := write(t, c.file)
				env := append(slices.Clone(c.env), "NATS_URL="+broker.URL)
				env[len(c.env)-1] += file
				conn := connected(t, env...)
				if first == "file" {
					rewrite(t, file, c.then)
				}
				broker.Grant(brokertest.Users(brokertest.Admin, c.next))
				brokertest.Eventually(t, "it is let go", func() bool { return conn.Stats().Reconnects > 0 || !conn.IsConnected() })
				rewrite(t, file, c.then)
				brokertest.Eventually(t, "it is connected again", conn.IsConnected)
			})
		}
	}
}

// The next connection is made with the credentials, and trusts the authority,
// that the files have then.
func TestRotatedCredentials(t *testing.T) {
	t.Parallel()
	operator, _ := nkeys.CreateOperator()
	account, _ := nkeys.CreateAccount()
	operatorKey, _ := operator.PublicKey()
	accountKey, _ := account.PublicKey()
	claims, err := jwt.NewAccountClaims(accountKey).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(accountKey, claims); err != nil {
		t.Fatal(err)
	}
	creds := func() (file, public string) {
		seed, public := newUser(t)
		token, err := jwt.NewUserClaims(public).Encode(account)
		if err != nil {
			t.Fatal(err)
		}
		content, err := jwt.FormatUserConfig(token, []byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		return string(content), public
	}
	broker := startBroker(t, server.Options{TrustedKeys: []string{operatorKey}, AccountResolver: accounts})
	content, _ := creds()
	file := write(t, content)
	conn := connected(t, "NATS_URL="+broker.ClientURL(), "NATS_CREDS="+file)

	content, next := creds()
	rewrite(t, file, content)
	again(t, conn)
	connz, err := broker.Connz(&server.ConnzOptions{Username: true})
	if err != nil || len(connz.Conns) != 1 || connz.Conns[0].AuthorizedUser != next {
		t.Errorf("the server knows %+v, %v; want the user %s", connz.Conns, err, next)
	}

	rewrite(t, file, "half a fi") // written just now
	again(t, conn)
}

func again(t *testing.T, conn *nats.Conn) {
	t.Helper()
	before := conn.Stats().Reconnects
	if err := conn.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "it is connected again", func() bool { return conn.Stats().Reconnects > before && conn.IsConnected() })
}

func TestRotatedCertificates(t *testing.T) {
	t.Parallel()
	certFile, keyFile := brokertest.Certificate(t)
	options := func(certFile, keyFile string) server.Options {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		return server.Options{TLS: true, TLSTimeout: patience.Seconds(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	}
	broker := startBroker(t, options(certFile, keyFile))
	content, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, string(content))
	conn := connected(t, "NATS_URL=tls://"+broker.Addr().String(), "NATS_TLS_CA="+file)

	otherCert, otherKey := brokertest.Certificate(t)
	next := options(otherCert, otherKey)
	next.Host, next.Port, next.NoSigs, next.NoLog = "127.0.0.1", -1, true, true
	if err := broker.ReloadOptions(&next); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(otherCert); err != nil {
		t.Fatal(err)
	}
	rewrite(t, file, string(content))
	again(t, conn)
}

// What is wrong with the files is told at the start, by the variable that names
// the file.
func TestSecretFilesAreNamed(t *testing.T) {
	t.Parallel()
	lines, blank := write(t, "hunter2\nhunter3\n"), write(t, "hunter2 \n")
	p := parse([]string{"run"}, []string{"NATS_URL=nats://h", "CLEVERTAP_ACCOUNT_ID=a", "CLEVERTAP_PASSCODE_FILE=" + lines, "COURIER_API_KEY_FILE=" + blank})
	wantLines(t, p, []string{
		fmt.Sprintf("CLEVERTAP_PASSCODE_FILE is %q, must hold one line, the secret", lines),
		fmt.Sprintf("COURIER_API_KEY_FILE is %q, must not hold white space, control or non-ASCII characters", blank),
	})
}

func TestSecretFollowsItsFile(t *testing.T) {
	t.Parallel()
	file := write(t, "hunter1\n")
	p := parse([]string{"run"}, []string{"NATS_URL=nats://h", "COURIER_API_KEY_FILE=" + file})
	wantLines(t, p, nil)
	copied := p.cli.Run.Providers.Courier.APIKey
	for _, step := range []struct{ content, want string }{{"hunter2", "hunter2"}, {"hunter 3", "hunter2"}, {"", "hunter2"}, {"hunter4\r\n", "hunter4"}} {
		rewrite(t, file, step.content)
		err := copied.File().Reread()
		if got := copied.Reveal(); got != step.want || (err == nil) != (step.content == step.want || step.want == "hunter4") {
			t.Errorf("%q: %q, %v; want %q", step.content, got, err, step.want)
		}
	}
	if config.NewSecret("x").File() != nil {
		t.Error("a secret from no file has one")
	}
}
