package config

import (
	"errors"
	"net/url"
	"slices"
	"time"
)

// The words for the providers, as in PROVIDERS and in the event's destinations.
const (
	CleverTapName = "clevertap"
	CourierName   = "courier"
)

// CleverTap is one CleverTap account and how hard it may be called.
type CleverTap struct {
	AccountID     string        `name:"clevertap-account-id" env:"CLEVERTAP_ACCOUNT_ID" placeholder:"ID" help:"Account id of the CleverTap project."`
	Passcode      Secret        `name:"clevertap-passcode" env:"CLEVERTAP_PASSCODE" placeholder:"SECRET" help:"Passcode of the CleverTap project."`
	PasscodeFile  string        `name:"clevertap-passcode-file" env:"CLEVERTAP_PASSCODE_FILE" placeholder:"PATH" help:"File with the passcode, instead of the passcode."`
	Region        string        `name:"clevertap-region" env:"CLEVERTAP_REGION" default:"eu" enum:"eu,eu1,in1,sg1,us1,aps3,mec1" help:"Region of the CleverTap project."`
	BaseURL       string        `name:"clevertap-base-url" env:"CLEVERTAP_BASE_URL" placeholder:"URL" help:"Where CleverTap is, instead of its region's host."`
	MaxConcurrent int           `name:"clevertap-max-concurrent" env:"CLEVERTAP_MAX_CONCURRENT" default:"3" min:"1" max:"15" help:"CleverTap calls open at a time, over the whole fleet."`
	BatchSize     int           `name:"clevertap-batch-size" env:"CLEVERTAP_BATCH_SIZE" default:"100" min:"1" max:"100" help:"Tokens in one CleverTap call at most."`
	BatchWait     time.Duration `name:"clevertap-batch-wait" env:"CLEVERTAP_BATCH_WAIT" default:"500ms" over:"0s" max:"1m" help:"Time a token waits for others to fill the call."`
}

// HasCredentials reports whether there is a whole set of them.
func (c *CleverTap) HasCredentials() bool { return c.AccountID != "" && c.Passcode.IsSet() }

// AfterApply checks what the settings have to do with each other.
func (c *CleverTap) AfterApply(check *Check) error {
	checkBase(check, "CLEVERTAP_BASE_URL", c.BaseURL)
	if err := fitsHeader(c.AccountID); err != nil {
		check.Problem("CLEVERTAP_ACCOUNT_ID", "set (not shown)", err.Error())
	}
	check.credential(c.Passcode, "CLEVERTAP_PASSCODE", c.PasscodeFile)
	if check.Sound("CLEVERTAP_PASSCODE", "CLEVERTAP_PASSCODE_FILE") {
		switch {
		case c.AccountID == "" && c.Passcode.IsSet():
			check.Problem("CLEVERTAP_ACCOUNT_ID", "not set", "must be given together with CLEVERTAP_PASSCODE")
		case c.AccountID != "" && !c.Passcode.IsSet():
			check.Problem("CLEVERTAP_PASSCODE", "not set", "must be given together with CLEVERTAP_ACCOUNT_ID (or as CLEVERTAP_PASSCODE_FILE)")
		}
	}
	return nil
}

// Courier is one Courier workspace and how hard it may be called.
type Courier struct {
	APIKey        Secret `name:"courier-api-key" env:"COURIER_API_KEY" placeholder:"SECRET" help:"API key of the Courier workspace."`
	APIKeyFile    string `name:"courier-api-key-file" env:"COURIER_API_KEY_FILE" placeholder:"PATH" help:"File with the API key, instead of the key."`
	Region        string `name:"courier-region" env:"COURIER_REGION" default:"us" enum:"us,eu" help:"Region of the Courier workspace."`
	BaseURL       string `name:"courier-base-url" env:"COURIER_BASE_URL" placeholder:"URL" help:"Where Courier is, instead of its region's host."`
	BodyToken     bool   `name:"courier-body-token" env:"COURIER_BODY_TOKEN" default:"true" negatable:"" help:"Repeat the token in the body of a call."`
	MaxConcurrent int    `name:"courier-max-concurrent" env:"COURIER_MAX_CONCURRENT" default:"64" min:"1" max:"1024" help:"Courier calls open at a time, in this pod."`
}

// HasCredentials reports whether there is an API key.
func (c *Courier) HasCredentials() bool { return c.APIKey.IsSet() }

// AfterApply checks what kong's tags cannot say.
func (c *Courier) AfterApply(check *Check) error {
	checkBase(check, "COURIER_BASE_URL", c.BaseURL)
	check.credential(c.APIKey, "COURIER_API_KEY", c.APIKeyFile)
	return nil
}

// Providers is which providers this process delivers to, and with what.
type Providers struct {
	// Names is sorted and not empty once the settings are checked.
	Names     []string  `name:"providers" env:"PROVIDERS" enum:"clevertap,courier" placeholder:"NAME" help:"Providers to deliver to; those with credentials when not given."`
	CleverTap CleverTap `embed:""`
	Courier   Courier   `embed:""`
}

// AfterApply fills Names when nobody did, and asks for the credentials of each.
func (p *Providers) AfterApply(check *Check) error {
	secrets := check.Sound("CLEVERTAP_PASSCODE", "CLEVERTAP_PASSCODE_FILE", "COURIER_API_KEY", "COURIER_API_KEY_FILE")
	if !secrets || !check.Sound("PROVIDERS") {
		return nil
	}
	if !check.Given("PROVIDERS") {
		p.Names = p.credible()
		half := p.CleverTap.AccountID != "" || p.CleverTap.Passcode.IsSet()
		if len(p.Names) == 0 && !half { // half a set has its own line
			check.Problem("PROVIDERS", "not set and no provider has credentials",
				"must have CLEVERTAP_ACCOUNT_ID and CLEVERTAP_PASSCODE, or COURIER_API_KEY, or both")
		}
		return nil
	}
	slices.Sort(p.Names)
	p.Names = slices.Compact(p.Names)
	if len(p.Names) == 0 {
		check.Problem("PROVIDERS", `""`, "must be one or more of clevertap, courier")
	}
	const needed = "must be given because PROVIDERS names "
	if slices.Contains(p.Names, CleverTapName) && p.CleverTap.AccountID == "" && !p.CleverTap.Passcode.IsSet() {
		check.Problem("CLEVERTAP_ACCOUNT_ID", "not set", needed+CleverTapName)
		check.Problem("CLEVERTAP_PASSCODE", "not set", needed+CleverTapName)
	}
	if slices.Contains(p.Names, CourierName) && !p.Courier.HasCredentials() {
		check.Problem("COURIER_API_KEY", "not set", needed+CourierName)
	}
	return nil
}

// credible lists the providers that have credentials.
func (p *Providers) credible() []string {
	var names []string
	if p.CleverTap.HasCredentials() {
		names = append(names, CleverTapName)
	}
	if p.Courier.HasCredentials() {
		names = append(names, CourierName)
	}
	return names
}

// checkBase does not show a URL with a user in it, nor one that cannot be read.
func checkBase(check *Check, variable, text string) {
	if text == "" {
		return
	}
	const allowed = "must be a URL such as https://host or http://host:port, without user, query or fragment"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		check.Problem(variable, "no URL (not shown)", allowed)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		check.Problem(variable, "more than a place (not shown)", allowed)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		check.Problem(variable, Quote(text), allowed)
	}
}

// credential checks what a call is to carry, now and whenever its file changes.
func (c *Check) credential(secret Secret, variable, path string) {
	if c.follow(secret, variable+"_FILE", path, fitsHeader) {
		return
	}
	if err := fitsHeader(secret.Reveal()); err != nil {
		c.Problem(variable, "set (not shown)", err.Error())
	}
}

// fitsHeader refuses credentials that a header cannot carry: most often with a
// blank too many, copied along.
func fitsHeader(text string) error {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return errors.New("must not hold white space, control or non-ASCII characters")
		}
	}
	return nil
}
