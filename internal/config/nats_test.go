package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

func TestNATSSettings(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	cert, key := certificate(t)
	_, otherKey := certificate(t)
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
		"several":            {[]string{"NATS_URL=nats://a:4222,tls://b,c:4222,ws://d"}, nil},
		"only commas":        {[]string{"NATS_URL=,"}, []string{`NATS_URL is "", ` + urls}},
		"another protocol":   {[]string{"NATS_URL=http://me:hunter2@h"}, []string{`NATS_URL is "http://h", must begin with nats://, tls://, ws:// or wss://`}},
		"no host":            {[]string{"NATS_URL=nats://me:hunter2@"}, []string{`NATS_URL is "nats://", must name a host`}},
		"unreadable":         {[]string{"NATS_URL=nats://me:hunter2@%zz"}, []string{`NATS_URL is no URL (not shown), ` + urls}},
		"no credentials":     {[]string{url, "NATS_CREDS=" + missing}, []string{unread("NATS_CREDS")}},
		"no seed":            {[]string{url, "NATS_NKEY_FILE=" + missing}, []string{unread("NATS_NKEY_FILE")}},
		"user alone":         {[]string{url, "NATS_USER=me"}, []string{`NATS_PASSWORD is not set, must be given together with NATS_USER (or as NATS_PASSWORD_FILE)`}},
		"password alone":     {[]string{url, "NATS_PASSWORD=hunter2"}, []string{`NATS_USER is not set, must be given together with NATS_PASSWORD`}},
		"two ways to log in": {[]string{url, "NATS_CREDS=" + text, "NATS_NKEY_FILE=" + text}, []string{`NATS_CREDS is set, must not be given together with NATS_NKEY_FILE`}},
		"no authority":       {[]string{url, "NATS_TLS_CA=" + missing}, []string{unread("NATS_TLS_CA")}},
		"authority of text":  {[]string{url, "NATS_TLS_CA=" + text}, []string{fmt.Sprintf("NATS_TLS_CA is %q, must hold a certificate in PEM", text)}},
		"certificate alone":  {[]string{url, "NATS_TLS_CERT=" + cert}, []string{`NATS_TLS_KEY is not set, must be given together with NATS_TLS_CERT`}},
		"key alone":          {[]string{url, "NATS_TLS_KEY=" + key}, []string{`NATS_TLS_CERT is not set, must be given together with NATS_TLS_KEY`}},
		"neither is there":   {[]string{url, "NATS_TLS_CERT=" + missing, "NATS_TLS_KEY=" + missing}, []string{unread("NATS_TLS_CERT"), unread("NATS_TLS_KEY")}},
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
	certFile, keyFile := certificate(t)
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

	n.TLSCA = ""
	want := "NATS_URL: tls://" + broker.Addr().String() + ": tls error: tls: failed to verify certificate: x509: certificate signed by unknown authority"
	if _, err := n.Connect(t.Context(), "test"); err == nil || err.Error() != want {
		t.Errorf("without the authority: %v, want %s", err, want)
	}
}

// certificate makes one of its own for 127.0.0.1, for either end, and returns
// the paths of it and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}
