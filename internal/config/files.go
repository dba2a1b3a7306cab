package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"

	"github.com/tokenrelay/tokenrelay/internal/reread"
)

// natsFiles are what the files of a connection say. Each is nil when its
// variable is not set.
type natsFiles struct {
	creds *reread.Value[creds]
	nkey  *reread.Value[nkey]
	ca    *reread.Value[*x509.CertPool]
	pair  *reread.Value[tls.Certificate]
}

// Files are those of the connection that may change while the process runs.
// The connection itself reads them again whenever it is made again.
func (n *NATS) Files() []reread.Source {
	var files []reread.Source
	if file := n.Password.File(); file != nil {
		files = append(files, file)
	}
	if n.files.creds != nil {
		files = append(files, n.files.creds)
	}
	if n.files.nkey != nil {
		files = append(files, n.files.nkey)
	}
	if n.files.ca != nil {
		files = append(files, n.files.ca)
	}
	if n.files.pair != nil {
		files = append(files, n.files.pair)
	}
	return files
}

// load reads for the first time what was not read yet.
func (n *NATS) load() error {
	return errors.Join(
		open(&n.files.creds, credsIn, "NATS_CREDS", n.Creds),
		open(&n.files.nkey, nkeyIn, "NATS_NKEY_FILE", n.NKeyFile),
		open(&n.files.ca, authoritiesIn, "NATS_TLS_CA", n.TLSCA),
		openPair(&n.files.pair, "NATS_TLS_CERT", n.TLSCert, "NATS_TLS_KEY", n.TLSKey),
	)
}

// open reads a file that is named and was not read yet.
func open[T any](value **reread.Value[T], parse func([][]byte) (T, error), variable, path string) (err error) {
	if *value == nil && path != "" {
		*value, err = reread.Open([]string{variable}, []string{path}, parse)
	}
	return err
}

// openPair reads a certificate and its key.
func openPair(value **reread.Value[tls.Certificate], certVariable, certFile, keyVariable, keyFile string) (err error) {
	if *value == nil && certFile != "" && keyFile != "" {
		*value, err = reread.Open([]string{certVariable, keyVariable}, []string{certFile, keyFile}, func(contents [][]byte) (tls.Certificate, error) {
			pair, err := tls.X509KeyPair(contents[0], contents[1])
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("must be a certificate in PEM that %s belongs to", keyVariable)
			}
			return pair, nil
		})
	}
	return err
}

// files takes what is wrong with files.
func (c *Check) files(err error) {
	joined, several := err.(interface{ Unwrap() []error })
	if several {
		for _, one := range joined.Unwrap() {
			c.files(one)
		}
		return
	}
	if problems, ok := errors.AsType[reread.Problems](err); ok {
		for _, p := range problems {
			c.Problem(p.Variable, Quote(p.Path), p.Err.Error())
		}
	}
}

// pair checks that a certificate and its key are both given, or neither.
func (c *Check) pair(certVariable, certFile, keyVariable, keyFile string) {
	switch {
	case certFile == "" && keyFile != "":
		c.Problem(certVariable, "not set", "must be given together with "+keyVariable)
	case certFile != "" && keyFile == "":
		c.Problem(keyVariable, "not set", "must be given together with "+certVariable)
	}
}

func authoritiesIn(contents [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(contents[0]) {
		return nil, errors.New("must hold a certificate in PEM")
	}
	return pool, nil
}

// creds is a user of a JWT account.
type creds struct {
	jwt string
	key nkeys.KeyPair
}

func credsIn(contents [][]byte) (creds, error) {
	jwt, err := nkeys.ParseDecoratedJWT(contents[0])
	if err != nil {
		return creds{}, errors.New("must hold a user's JWT, as nsc writes it")
	}
	key, err := nkeys.ParseDecoratedNKey(contents[0])
	if err != nil {
		return creds{}, errors.New("must hold a user's seed beside the JWT, as nsc writes it")
	}
	return creds{jwt, key}, nil
}

// nkey is an NKey user.
type nkey struct {
	public string
	key    nkeys.KeyPair
}

func nkeyIn(contents [][]byte) (nkey, error) {
	key, err := nkeys.ParseDecoratedNKey(contents[0])
	if err != nil {
		return nkey{}, errors.New("must hold the seed of an NKey user")
	}
	public, err := key.PublicKey()
	if err != nil {
		return nkey{}, errors.New("must hold the seed of an NKey user")
	}
	return nkey{public, key}, nil
}
