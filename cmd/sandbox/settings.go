package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// commandLine is what config.Parse fills. The credentials' variables are the
// worker's, so that one environment serves both.
type commandLine struct {
	Addr          string        `name:"addr" env:"SANDBOX_ADDR" default:"127.0.0.1:8090" help:"Where to listen; port 0 is any free one."`
	Exposed       bool          `name:"exposed" env:"SANDBOX_EXPOSED" help:"Allow an address that is not loopback: whoever reaches it can read every token."`
	AccountID     string        `name:"clevertap-account-id" env:"CLEVERTAP_ACCOUNT_ID" default:"sandbox-account" help:"Account id that CleverTap demands."`
	Passcode      config.Secret `name:"clevertap-passcode" env:"CLEVERTAP_PASSCODE" placeholder:"SECRET" help:"Passcode that CleverTap demands, sandbox-passcode when not given."`
	PasscodeFile  string        `name:"clevertap-passcode-file" env:"CLEVERTAP_PASSCODE_FILE" placeholder:"PATH" help:"File with the passcode, instead of the passcode."`
	APIKey        config.Secret `name:"courier-api-key" env:"COURIER_API_KEY" placeholder:"SECRET" help:"API key that Courier demands, sandbox-key when not given."`
	APIKeyFile    string        `name:"courier-api-key-file" env:"COURIER_API_KEY_FILE" placeholder:"PATH" help:"File with the API key, instead of the key."`
	Cap           int           `name:"cap" env:"SANDBOX_CAP" default:"3" min:"0" max:"10000" help:"CleverTap calls open at once before the next is answered 429; 0 is no limit."`
	Latency       string        `name:"latency" env:"SANDBOX_LATENCY" placeholder:"50ms" help:"How long each call takes: 50ms, or a range, 50ms-200ms."`
	Refuse        []string      `name:"refuse" env:"SANDBOX_REFUSE" placeholder:"0.02=531" help:"Share of all tokens that CleverTap refuses, and the code; several with commas."`
	CourierRefuse []string      `name:"courier-refuse" env:"SANDBOX_COURIER_REFUSE" placeholder:"0.02=400" help:"Share of all tokens that Courier refuses, and the HTTP status; several with commas."`
	Script        string        `name:"script" env:"SANDBOX_SCRIPT" placeholder:"PATH" help:"File of rules, as JSON: see docs/sandbox.md."`
	Recording     string        `name:"record" env:"SANDBOX_RECORD" default:"all" enum:"all,fingerprints,counts" help:"What is remembered of records: the records; enough to count repetitions; only counts."`
	Keep          int           `name:"keep" env:"SANDBOX_KEEP" default:"100000" min:"1" max:"10000000" help:"Records remembered of each provider, accepted and refused; the oldest go first."`
	Health        bool          `name:"health" help:"Ask the sandbox that listens there whether it does; exit 1 when it does not."`
	rules         []sandbox.Rule
}

// AfterApply checks what kong's tags cannot say, and makes rules of the flags.
func (c *commandLine) AfterApply(check *config.Check) error {
	if _, err := sandbox.New(sandbox.Settings{Addr: c.Addr, Exposed: c.Exposed}); err != nil {
		check.Problem("SANDBOX_ADDR", config.Quote(c.Addr), "must be host:port with a loopback host, such as 127.0.0.1:8090 (--exposed allows others)")
	}
	if c.Latency != "" {
		rule, ok := latency(c.Latency)
		if !ok {
			check.Problem("SANDBOX_LATENCY", config.Quote(c.Latency), "must be a duration such as 50ms, or a range such as 50ms-200ms")
		}
		c.rules = append(c.rules, rule)
	}
	for _, share := range []struct {
		variable, provider, allowed string
		values                      []string
	}{
		{"SANDBOX_REFUSE", sandbox.CleverTap, "must be SHARE=CODE such as 0.02=531, with a share over 0, up to 1", c.Refuse},
		{"SANDBOX_COURIER_REFUSE", sandbox.Courier, "must be SHARE=STATUS such as 0.02=400, with a share over 0, up to 1, and a status from 400 to 599", c.CourierRefuse},
	} {
		for _, value := range share.values {
			rule, ok := refusal(share.provider, value)
			if !ok {
				check.Problem(share.variable, config.Quote(value), share.allowed)
			}
			c.rules = append(c.rules, rule)
		}
	}
	c.readScript(check)
	return nil
}

func (c *commandLine) readScript(check *config.Check) {
	if c.Script == "" {
		return
	}
	text, err := os.ReadFile(c.Script)
	if err != nil {
		check.Problem("SANDBOX_SCRIPT", config.Quote(c.Script), "must be a file that can be read: "+cause(err))
		return
	}
	rules, err := sandbox.ParseRules(text)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			check.Problem("SANDBOX_SCRIPT", config.Quote(c.Script), strings.TrimSuffix(line, "\n"))
		}
	}
	c.rules = append(c.rules, rules...)
}

// latency reads 50ms or 50ms-200ms.
func latency(text string) (sandbox.Rule, bool) {
	from, to, ranged := strings.Cut(text, "-")
	rule := sandbox.Rule{Name: "--latency", Effect: sandbox.Latency}
	var errFrom, errTo error
	rule.Delay, errFrom = time.ParseDuration(from)
	if ranged {
		rule.DelayMax, errTo = time.ParseDuration(to)
	}
	return rule, errFrom == nil && errTo == nil && rule.Validate() == nil
}

// refusal reads SHARE=CODE. The code is the salt, so that each code has other tokens.
func refusal(provider, text string) (sandbox.Rule, bool) {
	share, code, _ := strings.Cut(text, "=")
	rule := sandbox.Rule{Name: fmt.Sprintf("--refuse %s", text), Provider: provider, Effect: sandbox.Refuse, Code: code, Salt: code}
	if provider == sandbox.Courier {
		rule.Name = fmt.Sprintf("--courier-refuse %s", text)
	}
	var err error
	rule.Share, err = strconv.ParseFloat(share, 64)
	return rule, err == nil && rule.Share > 0 && rule.Validate() == nil
}

func (c *commandLine) settings() sandbox.Settings {
	settings := sandbox.Settings{
		Addr:         c.Addr,
		Exposed:      c.Exposed,
		AccountID:    c.AccountID,
		Passcode:     c.Passcode.Reveal(),
		APIKey:       c.APIKey.Reveal(),
		CleverTapCap: c.Cap,
		Rules:        c.rules,
		Recording:    sandbox.Recording(c.Recording),
		Keep:         c.Keep,
	}
	if c.Cap == 0 {
		settings.CleverTapCap = -1
	}
	return settings
}
