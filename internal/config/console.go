package config

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/reread"
)

// Console is where operators see letters in a browser, and who may.
type Console struct {
	Addr         string        `name:"console-addr" env:"CONSOLE_ADDR" default:"127.0.0.1:8090" help:"Where the console is served; any address but loopback demands a password."`
	Password     Secret        `name:"console-password" env:"CONSOLE_PASSWORD" placeholder:"SECRET" help:"What operators log in with, beside their name."`
	PasswordFile string        `name:"console-password-file" env:"CONSOLE_PASSWORD_FILE" placeholder:"PATH" help:"File with the password, instead of the password."`
	TLSCert      string        `name:"console-tls-cert" env:"CONSOLE_TLS_CERT" placeholder:"PATH" help:"Certificate of the console, PEM; it is served by https then."`
	TLSKey       string        `name:"console-tls-key" env:"CONSOLE_TLS_KEY" placeholder:"PATH" help:"Key of that certificate, PEM."`
	Hosts        []string      `name:"console-hosts" env:"CONSOLE_HOSTS" placeholder:"NAME" help:"Names by which browsers reach the console, beside localhost and the host of its address."`
	Session      time.Duration `name:"console-session" env:"CONSOLE_SESSION" default:"1h" min:"1m" max:"24h" help:"Time without a click after which an operator has to log in again."`

	pair *reread.Value[tls.Certificate] // nil: no TLS
}

// Certificate is what the console shows to browsers, as its files have it now;
// nil when it is served without TLS.
func (c *Console) Certificate() func() tls.Certificate {
	if c.pair == nil {
		return nil
	}
	return c.pair.Get
}

// Files are those that may change while the console runs, but for the password's.
func (c *Console) Files() []reread.Source {
	if c.pair == nil {
		return nil
	}
	return []reread.Source{c.pair}
}

// AfterApply checks what kong's tags cannot say.
func (c *Console) AfterApply(check *Check) error {
	check.addr("CONSOLE_ADDR", c.Addr)
	if check.Sound("CONSOLE_ADDR", "CONSOLE_PASSWORD", "CONSOLE_PASSWORD_FILE") && !c.Local() && !c.Password.IsSet() {
		check.Problem("CONSOLE_PASSWORD", "not set", "must be given (or CONSOLE_PASSWORD_FILE) when CONSOLE_ADDR ("+c.Addr+") is not loopback")
	}
	for _, name := range c.Hosts {
		switch {
		case strings.ContainsAny(name, "*?"):
			check.Problem("CONSOLE_HOSTS", Quote(name), "must be names in full, such as console.example.com; patterns are not understood")
		case strings.ContainsAny(name, "/: \t") && net.ParseIP(name) == nil:
			check.Problem("CONSOLE_HOSTS", Quote(name), "must be names such as console.example.com, without scheme and port, separated by commas")
		}
	}
	check.follow(c.Password, "CONSOLE_PASSWORD_FILE", c.PasswordFile, nil)
	check.pair("CONSOLE_TLS_CERT", c.TLSCert, "CONSOLE_TLS_KEY", c.TLSKey)
	check.files(openPair(&c.pair, "CONSOLE_TLS_CERT", c.TLSCert, "CONSOLE_TLS_KEY", c.TLSKey))
	return nil
}

// Local reports whether nobody but this machine can reach the console. A name
// other than localhost may lead anywhere.
func (c *Console) Local() bool {
	host, _, _ := net.SplitHostPort(c.Addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
