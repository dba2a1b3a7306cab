package config

import (
	"net/url"
	"strings"
)

// NATS is the way to the broker. Its URLs may carry a user and a password and
// are never shown as they are.
type NATS struct {
	URL          []string `name:"nats-url" env:"NATS_URL" required:"" placeholder:"URL" allowed:"one or more URLs such as nats://host:4222, separated by commas" help:"Servers of the broker."`
	Creds        string   `name:"nats-creds" env:"NATS_CREDS" placeholder:"PATH" help:"Credentials file of a user."`
	User         string   `name:"nats-user" env:"NATS_USER" placeholder:"NAME" help:"User name."`
	Password     Secret   `name:"nats-password" env:"NATS_PASSWORD" placeholder:"SECRET" help:"Password of the user."`
	PasswordFile string   `name:"nats-password-file" env:"NATS_PASSWORD_FILE" placeholder:"PATH" help:"File with the password, instead of the password."`
	NKeyFile     string   `name:"nats-nkey-file" env:"NATS_NKEY_FILE" placeholder:"PATH" help:"File with the seed of an NKey user."`
	TLSCA        string   `name:"nats-tls-ca" env:"NATS_TLS_CA" placeholder:"PATH" help:"Certificates of the authorities to trust, PEM."`
	TLSCert      string   `name:"nats-tls-cert" env:"NATS_TLS_CERT" placeholder:"PATH" help:"Certificate of this client, PEM."`
	TLSKey       string   `name:"nats-tls-key" env:"NATS_TLS_KEY" placeholder:"PATH" help:"Key of that certificate, PEM."`

	files natsFiles
}

// AfterApply checks what kong's tags cannot say.
func (n *NATS) AfterApply(check *Check) error {
	n.checkURL(check)
	n.checkUser(check)
	check.pair("NATS_TLS_CERT", n.TLSCert, "NATS_TLS_KEY", n.TLSKey)
	check.files(n.load())
	check.follow(n.Password, "NATS_PASSWORD_FILE", n.PasswordFile, nil)
	return nil
}

func (n *NATS) checkURL(check *Check) {
	if !check.Sound("NATS_URL") {
		return
	}
	if len(n.URL) == 0 {
		check.Problem("NATS_URL", `""`, "must be one or more URLs such as nats://host:4222, separated by commas")
		return
	}
	for _, server := range n.URL {
		u, err := url.Parse(withScheme(server))
		if err != nil { // its text quotes the URL
			check.Problem("NATS_URL", "no URL (not shown)", "must be one or more URLs such as nats://host:4222, separated by commas")
			return
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			check.Problem("NATS_URL", Quote(place(server)), "must begin with nats://, tls://, ws:// or wss://")
			return
		}
		if u.Hostname() == "" {
			check.Problem("NATS_URL", Quote(place(server)), "must name a host")
			return
		}
	}
}

func (n *NATS) checkUser(check *Check) {
	if !check.Sound("NATS_USER", "NATS_PASSWORD", "NATS_PASSWORD_FILE") {
		return
	}
	switch {
	case n.User == "" && n.Password.IsSet():
		check.Problem("NATS_USER", "not set", "must be given together with NATS_PASSWORD")
	case n.User != "" && !n.Password.IsSet():
		check.Problem("NATS_PASSWORD", "not set", "must be given together with NATS_USER (or as NATS_PASSWORD_FILE)")
	}
	var ways []string
	for _, way := range []struct {
		variable string
		given    bool
	}{{"NATS_CREDS", n.Creds != ""}, {"NATS_NKEY_FILE", n.NKeyFile != ""}, {"NATS_USER", n.User != ""}} {
		if way.given {
			ways = append(ways, way.variable)
		}
	}
	if len(ways) > 1 {
		check.Problem(ways[0], "set", "must not be given together with "+strings.Join(ways[1:], " and "))
	}
}

// place is where a server is: its URL without the user.
func place(server string) string {
	u, err := url.Parse(withScheme(server))
	if err != nil {
		return "(not shown)"
	}
	return u.Scheme + "://" + u.Host
}

// withScheme allows host:port, as the client does.
func withScheme(server string) string {
	if strings.Contains(server, "://") {
		return server
	}
	return "nats://" + server
}
