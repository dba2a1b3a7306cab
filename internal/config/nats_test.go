package config_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

func TestNATSSettings(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	cert, key := brokertest.Certificate(t)
	_, otherKey := brokertest.Certificate(t)
	text := write(t, "hello")
	unread := func(variable string) string {
		return fmt.Sprintf("%s is %q, cannot be read: no such file or directory", variable, missing)
	}
	const urls = "must be one or more URLs such as nats://host:4222, separated by commas"
	const url = "NATS_URL=nats://h"
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"several":          {[]string{"NATS_URL=nats://a:4222,tls://b,c:4222,ws://d"}, nil},
		"only commas":      {[]string{"NATS_URL=,"}, []string{`NATS_URL is "", ` + urls}},
		"another protocol": {[]string{"NATS_URL=http://me:hunter2@h"}, []string{`NATS_URL is "http://h", must begin with nats://, tls://, ws:// or wss://`}},
		"no host":          {[]string{"NATS_URL=nats://me:hunter2@"}, []string{`NATS_URL is "nats://", must name a host`}},
		"unreadable":       {[]string{"NATS_URL=nats://me:hunter2@%zz"}, []string{`NATS_URL is no URL (not shown), ` + urls}},
		"no credentials":   {[]string{url, "NATS_CREDS=" + missing}, []string{unread("NATS_CREDS")}},
		"no seed":          {[]string{url, "NATS_NKEY_FILE=" + missing}, []string{unread("NATS_NKEY_FILE")}},
		"user alone":       {[]string{url, "NATS_USER=me"}, []string{`NATS_PASSWORD is not set, must be given together with NATS_USER (or as NATS_PASSWORD_FILE)`}},
		"password alone":   {[]string{url, "NATS_PASSWORD=hunter2"}, []string{`NATS_USER is not set, must be given together with NATS_PASSWORD`}},
		"two ways to log in": {[]string{url, "NATS_CREDS=" + text, "NATS_NKEY_FILE=" + text}, []string{`NATS_CREDS is set, must not be given together with NATS_NKEY_FILE`,
			fmt.Sprintf("NATS_CREDS is %q, must hold a user's seed beside the JWT, as nsc writes it", text),
			fmt.Sprintf("NATS_NKEY_FILE is %q, must hold the seed of an NKey user", text)}},
		"no authority":      {[]string{url, "NATS_TLS_CA=" + missing}, []string{unread("NATS_TLS_CA")}},
		"authority of text": {[]string{url, "NATS_TLS_CA=" + text}, []string{fmt.Sprintf("NATS_TLS_CA is %q, must hold a certificate in PEM", text)}},
		"certificate alone": {[]string{url, "NATS_TLS_CERT=" + cert}, []string{`NATS_TLS_KEY is not set, must be given together with NATS_TLS_CERT`}},
		"key alone":         {[]string{url, "NATS_TLS_KEY=" + key}, []string{`NATS_TLS_CERT is not set, must be given together with NATS_TLS_KEY`}},
		"neither is there":  {[]string{url, "NATS_TLS_CERT=" + missing, "NATS_TLS_KEY=" + missing}, []string{unread("NATS_TLS_CERT"), unread("NATS_TLS_KEY")}},
		"another's key": {[]string{url, "NATS_TLS_CERT=" + cert, "NATS_TLS_KEY=" + otherKey}, []string{
			fmt.Sprintf("NATS_TLS_CERT is %q, must be a certificate in PEM that NATS_TLS_KEY belongs to", cert)}},
		"a pair": {[]string{url, "NATS_TLS_CERT=" + cert, "NATS_TLS_KEY=" + key, "NATS_TLS_CA=" + cert}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLines(t, parse([]string{"resume", "courier"}, test.env), test.want)
		})
	}
}

func TestConnectTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := brokertest.Certificate(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	broker := startBroker(t, server.Options{
		TLS: true, TLSVerify: true, TLSTimeout: patience.Seconds(),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
	})
	n := config.NATS{URL: []string{"tls://" + broker.Addr().String()}, TLSCA: certFile, TLSCert: certFile, TLSKey: keyFile}
	conn, err := n.Connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	n = config.NATS{URL: n.URL, TLSCert: certFile, TLSKey: keyFile}
	want := "NATS_URL: tls://" + broker.Addr().String() + ": tls error: tls: failed to verify certificate: x509: certificate signed by unknown authority"
	if _, err := n.Connect(t.Context(), "test"); err == nil || err.Error() != want {
		t.Errorf("without the authority: %v, want %s", err, want)
	}
}
