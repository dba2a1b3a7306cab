package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
	"github.com/tokenrelay/tokenrelay/providers/courier"
)

// The table of the configuration contract: every variable and its default.
func TestVariables(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"NATS_URL": "", "NATS_CREDS": "", "NATS_USER": "", "NATS_PASSWORD": "", "NATS_PASSWORD_FILE": "",
		"NATS_NKEY_FILE": "", "NATS_TLS_CA": "", "NATS_TLS_CERT": "", "NATS_TLS_KEY": "",
		"STREAM_REPLICAS": "1", "STREAM_MAX_AGE": "168h", "DLQ_MAX_AGE": "720h", "NATS_PROVISION": "true",
		"PROVIDERS":            "",
		"CLEVERTAP_ACCOUNT_ID": "", "CLEVERTAP_PASSCODE": "", "CLEVERTAP_PASSCODE_FILE": "",
		"CLEVERTAP_REGION": "eu", "CLEVERTAP_BASE_URL": "",
		"CLEVERTAP_MAX_CONCURRENT": "3", "CLEVERTAP_BATCH_SIZE": "100", "CLEVERTAP_BATCH_WAIT": "500ms",
		"PERMIT_LEASE":    "30s",
		"COURIER_API_KEY": "", "COURIER_API_KEY_FILE": "", "COURIER_REGION": "us", "COURIER_BASE_URL": "",
		"COURIER_BODY_TOKEN": "true", "COURIER_MAX_CONCURRENT": "64",
		"HTTP_TIMEOUT":      "10s",
		"RETRY_MAX_ELAPSED": "5s", "MAX_ATTEMPTS": "8", "MAX_ATTEMPTS_AGE": "3h", "HOLD_MIN": "2s", "HOLD_MAX": "5m",
		"HTTP_ADDR": ":8080", "LOG_LEVEL": "info", "LOG_FORMAT": "auto", "SHUTDOWN_GRACE": "25s",
	}
	for _, v := range config.Variables(&config.Worker{}) {
		value, known := want[v.Name]
		if !known || v.Default != value {
			t.Errorf("%s has the default %q, want %q (known: %t)", v.Name, v.Default, value, known)
		}
		if flag := "--" + strings.ReplaceAll(strings.ToLower(v.Name), "_", "-"); v.Flag != flag {
			t.Errorf("the flag of %s is %s, want %s", v.Name, v.Flag, flag)
		}
		if v.Required != (v.Name == "NATS_URL") {
			t.Errorf("%s: required is %t", v.Name, v.Required)
		}
		if v.Help == "" || !strings.HasPrefix(v.Allowed, "must ") {
			t.Errorf("%s: help %q, allowed %q", v.Name, v.Help, v.Allowed)
		}
		delete(want, v.Name)
	}
	if len(want) > 0 {
		t.Errorf("no variables for %v", want)
	}
}

func TestVariablesOnce(t *testing.T) {
	t.Parallel()
	shared := len(config.Variables(&cli{}))
	if want := len(config.Variables(&config.Worker{})) + 1; shared != want { // and PATH
		t.Errorf("%d variables of all commands, want %d", shared, want)
	}
}

func TestRegionsAreTheProviders(t *testing.T) {
	t.Parallel()
	for provider, regions := range map[string][]string{"CLEVERTAP": clevertap.Regions(), "COURIER": courier.Regions()} {
		for _, v := range config.Variables(&config.Worker{}) {
			if v.Name != provider+"_REGION" {
				continue
			}
			got := strings.Split(strings.TrimPrefix(v.Allowed, "must be one of "), ", ")
			if slices.Sort(got); !slices.Equal(got, regions) {
				t.Errorf("%s allows %q, the provider has %q", v.Name, got, regions)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := parse([]string{"run"}, enough())
	if p.code != 0 {
		t.Fatal(p.stderr)
	}
	w := p.cli.Run.Worker
	if got, want := w.Delivery, (config.Delivery{
		HTTPTimeout: 10 * time.Second, RetryMaxElapsed: 5 * time.Second, MaxAttempts: 8, MaxAttemptsAge: 3 * time.Hour,
		HoldMin: 2 * time.Second, HoldMax: 5 * time.Minute,
		PermitLease: 30 * time.Second, ShutdownGrace: 25 * time.Second,
	}); got != want {
		t.Errorf("delivery = %+v, want %+v", got, want)
	}
	if got, want := w.Streams, (config.Streams{
		Replicas: 1, MaxAge: 168 * time.Hour, DLQMaxAge: 720 * time.Hour, Provision: true,
	}); got != want {
		t.Errorf("streams = %+v, want %+v", got, want)
	}
	if c := w.Providers.CleverTap; c.BatchWait != 500*time.Millisecond || c.BatchSize != 100 || c.MaxConcurrent != 3 {
		t.Errorf("clevertap = %+v", c)
	}
	if c := w.Providers.Courier; !c.BodyToken || c.MaxConcurrent != 64 || c.APIKey.Reveal() != "key" {
		t.Errorf("courier = %+v", c)
	}
}

func TestStreamsGiven(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args, env []string
		want      config.StreamsGiven
	}{
		"nothing":              {[]string{"run"}, enough(), config.StreamsGiven{}},
		"a variable":           {[]string{"run"}, enough("STREAM_REPLICAS=3"), config.StreamsGiven{Replicas: true}},
		"a flag":               {[]string{"run", "--stream-max-age=2h"}, enough(), config.StreamsGiven{MaxAge: true}},
		"the default's value":  {[]string{"run"}, enough("DLQ_MAX_AGE=720h"), config.StreamsGiven{DLQMaxAge: true}},
		"an empty variable":    {[]string{"run"}, enough("STREAM_REPLICAS="), config.StreamsGiven{}},
		"of a second command":  {[]string{"check"}, enough("STREAM_REPLICAS=3"), config.StreamsGiven{Replicas: true}},
		"provisioning is none": {[]string{"run", "--no-nats-provision"}, enough(), config.StreamsGiven{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse(test.args, test.env)
			if p.code != 0 {
				t.Fatal(p.stderr)
			}
			w := p.cli.Run.Worker
			if p.command == "check" {
				w = p.cli.Check.Worker
			}
			if got := w.Streams.Given; got != test.want {
				t.Errorf("given = %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	for lease, want := range map[time.Duration]time.Duration{
		30 * time.Second: 5 * time.Second,
		time.Minute:      5 * time.Second,
		3 * time.Second:  500 * time.Millisecond,
	} {
		d := config.Delivery{PermitLease: lease}
		if got := d.Renewal(); got != want {
			t.Errorf("lease %v: renewal %v, want %v", lease, got, want)
		}
		// The longest call that the settings allow leaves room for three renewals.
		if longest := lease / 2; longest > lease-3*d.Renewal() {
			t.Errorf("lease %v: a call of %v outlasts three renewals", lease, longest)
		}
	}
}

// Each case is `worker run` with a broker, and the lines that it ends with.
func TestSettings(t *testing.T) {
	t.Parallel()
	const durations = "must be a duration such as 500ms, 10s or 5m"
	const baseURL = "must be a URL such as https://host or http://host:port, without user, query or fragment"
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"replicas":               {enough("STREAM_REPLICAS=6"), []string{`STREAM_REPLICAS is "6", must be a whole number from 1 to 5`}},
		"max age of one hour":    {enough("STREAM_MAX_AGE=1h"), []string{`STREAM_MAX_AGE is "1h", ` + durations + `, longer than 1h`}},
		"max age over one hour":  {enough("STREAM_MAX_AGE=1h1s"), nil},
		"dlq max age":            {enough("DLQ_MAX_AGE=59m"), []string{`DLQ_MAX_AGE is "59m", ` + durations + `, from 1h`}},
		"batch size":             {enough("CLEVERTAP_BATCH_SIZE=101"), []string{`CLEVERTAP_BATCH_SIZE is "101", must be a whole number from 1 to 100`}},
		"batch wait":             {enough("CLEVERTAP_BATCH_WAIT=0s"), []string{`CLEVERTAP_BATCH_WAIT is "0s", ` + durations + `, longer than 0s, up to 1m`}},
		"the cap":                {enough("CLEVERTAP_MAX_CONCURRENT=16"), []string{`CLEVERTAP_MAX_CONCURRENT is "16", must be a whole number from 1 to 15`}},
		"courier's calls":        {enough("COURIER_MAX_CONCURRENT=1025"), []string{`COURIER_MAX_CONCURRENT is "1025", must be a whole number from 1 to 1024`}},
		"clevertap's region":     {enough("CLEVERTAP_REGION=mars"), []string{`CLEVERTAP_REGION is "mars", must be one of eu, eu1, in1, sg1, us1, aps3, mec1`}},
		"courier's region":       {enough("COURIER_REGION=in1"), []string{`COURIER_REGION is "in1", must be one of us, eu`}},
		"log format":             {enough("LOG_FORMAT=xml"), []string{`LOG_FORMAT is "xml", must be one of auto, json, text`}},
		"negative grace":         {enough("SHUTDOWN_GRACE=-1s"), []string{`SHUTDOWN_GRACE is "-1s", ` + durations + `, longer than 0s`}},
		"no call in time":        {enough("HTTP_TIMEOUT=1ms"), []string{`HTTP_TIMEOUT is "1ms", ` + durations + `, from 50ms to 5m`}},
		"lease of two calls":     {enough("HTTP_TIMEOUT=15s"), []string{`PERMIT_LEASE is "30s", must be longer than twice HTTP_TIMEOUT (15s)`}},
		"lease over two calls":   {enough("HTTP_TIMEOUT=1s", "PERMIT_LEASE=2001ms"), nil},
		"equal holds":            {enough("HOLD_MIN=1m", "HOLD_MAX=1m"), nil},
		"port out of range":      {enough("HTTP_ADDR=:65536"), []string{`HTTP_ADDR is ":65536", must be host:port or :port, with a port from 0 to 65535`}},
		"any free port":          {enough("HTTP_ADDR=127.0.0.1:0"), nil},
		"base URL of a sandbox":  {enough("COURIER_BASE_URL=http://127.0.0.1:9000/prefix/"), nil},
		"base URL without host":  {enough("COURIER_BASE_URL=api.courier.com"), []string{`COURIER_BASE_URL is "api.courier.com", ` + baseURL}},
		"base URL of FTP":        {enough("COURIER_BASE_URL=ftp://host"), []string{`COURIER_BASE_URL is "ftp://host", ` + baseURL}},
		"base URL with a user":   {enough("CLEVERTAP_BASE_URL=https://me:hunter2@host"), []string{`CLEVERTAP_BASE_URL is more than a place (not shown), ` + baseURL}},
		"base URL that is none":  {enough("CLEVERTAP_BASE_URL=https://me:hunter2@%zz"), []string{`CLEVERTAP_BASE_URL is no URL (not shown), ` + baseURL}},
		"key with a blank":       {enough("COURIER_API_KEY=hunter2 "), []string{`COURIER_API_KEY is set (not shown), must not hold white space, control or non-ASCII characters`}},
		"account without secret": {enough("CLEVERTAP_ACCOUNT_ID=A"), []string{`CLEVERTAP_PASSCODE is not set, must be given together with CLEVERTAP_ACCOUNT_ID (or as CLEVERTAP_PASSCODE_FILE)`}},
		"secret without account": {enough("CLEVERTAP_PASSCODE=hunter2"), []string{`CLEVERTAP_ACCOUNT_ID is not set, must be given together with CLEVERTAP_PASSCODE`}},
		"no credentials": {[]string{"NATS_URL=nats://h"}, []string{
			`PROVIDERS is not set and no provider has credentials, must have CLEVERTAP_ACCOUNT_ID and CLEVERTAP_PASSCODE, or COURIER_API_KEY, or both`}},
		"half a set and no other": {[]string{"NATS_URL=nats://h", "CLEVERTAP_ACCOUNT_ID=A"}, []string{
			`CLEVERTAP_PASSCODE is not set, must be given together with CLEVERTAP_ACCOUNT_ID (or as CLEVERTAP_PASSCODE_FILE)`}},
		"named without credentials": {[]string{"NATS_URL=nats://h", "PROVIDERS=clevertap, courier"}, []string{
			`CLEVERTAP_ACCOUNT_ID is not set, must be given because PROVIDERS names clevertap`,
			`CLEVERTAP_PASSCODE is not set, must be given because PROVIDERS names clevertap`,
			`COURIER_API_KEY is not set, must be given because PROVIDERS names courier`}},
		"an empty list": {enough("PROVIDERS=,"), []string{`PROVIDERS is "", must be one or more of clevertap, courier`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLines(t, parse([]string{"run"}, test.env), test.want)
		})
	}
}

func TestProviderNames(t *testing.T) {
	t.Parallel()
	clevertapSet := []string{"CLEVERTAP_ACCOUNT_ID=A", "CLEVERTAP_PASSCODE=B"}
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"courier's credentials":   {enough(), "courier"},
		"both credentials":        {enough(clevertapSet...), "clevertap courier"},
		"clevertap's credentials": {append(clevertapSet, "NATS_URL=nats://h"), "clevertap"},
		"one of two":              {enough(append(clevertapSet, "PROVIDERS=courier")...), "courier"},
		"any order and twice":     {enough(append(clevertapSet, "PROVIDERS=courier,clevertap,courier")...), "clevertap courier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse([]string{"run"}, test.env)
			wantLines(t, p, nil)
			if got := strings.Join(p.cli.Run.Providers.Names, " "); got != test.want {
				t.Errorf("providers = %q, want %q", got, test.want)
			}
		})
	}
}

func wantLines(t *testing.T, p parsed, lines []string) {
	t.Helper()
	want, code := "", 0
	for _, line := range lines {
		want += "worker: " + line + "\n"
		code = 2
	}
	if p.stderr != want || p.code != code {
		t.Errorf("code %d, stderr:\n%s\nwant code %d:\n%s", p.code, p.stderr, code, want)
	}
	if strings.Contains(p.stderr, "hunter2") {
		t.Error("a secret is shown")
	}
}
