package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// cli has the shape of the worker's commands: two share all variables.
type cli struct {
	Run struct {
		config.Worker
	} `cmd:"" help:"Deliver, until told to stop."`
	Check struct {
		config.Worker
	} `cmd:"" help:"Look whether it would work."`
	Resume struct {
		NATS     config.NATS `embed:""`
		Provider string      `arg:"" enum:"clevertap,courier" help:"Provider to resume."`
		Share    float64     `default:"0.5" min:"0" max:"1" help:"No variable."`
		Lines    []string    `sep:"none" help:"A list as it came."`
	} `cmd:"" help:"End a hold now."`
	Path struct {
		Path string `env:"PATH"`
	} `cmd:"" help:"What every process's own environment has."`
}

// parsed is what came of a command line and an environment.
type parsed struct {
	cli            *cli
	stdout, stderr string
	code           int
	command        string // "" when the process should end
}

func parse(args, env []string) parsed {
	var p parsed
	var stdout, stderr bytes.Buffer
	p.cli = &cli{}
	command, code := config.Parse("worker", "Carries push tokens.", p.cli, args, env, &stdout, &stderr)
	if command != nil {
		p.command = command.Command()
	}
	p.code, p.stdout, p.stderr = code, stdout.String(), stderr.String()
	return p
}

// enough is an environment that `worker run` starts with.
func enough(more ...string) []string {
	return append([]string{"NATS_URL=nats://127.0.0.1:4222", "COURIER_API_KEY=key"}, more...)
}

func TestSources(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args, env []string
		want      time.Duration
	}{
		"default":                  {[]string{"run"}, enough(), 10 * time.Second},
		"variable":                 {[]string{"run"}, enough("HTTP_TIMEOUT=2s"), 2 * time.Second},
		"flag":                     {[]string{"run", "--http-timeout=3s"}, enough(), 3 * time.Second},
		"flag in two words":        {[]string{"run", "--http-timeout", "3s"}, enough(), 3 * time.Second},
		"flag over variable":       {[]string{"run", "--http-timeout=3s"}, enough("HTTP_TIMEOUT=2s"), 3 * time.Second},
		"flag over wrong variable": {[]string{"run", "--http-timeout=3s"}, enough("HTTP_TIMEOUT=soon"), 3 * time.Second},
		"empty variable":           {[]string{"run"}, enough("HTTP_TIMEOUT="), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse(test.args, test.env)
			if p.command != "run" || p.code != 0 || p.stderr != "" {
				t.Fatalf("command %q, code %d, stderr:\n%s", p.command, p.code, p.stderr)
			}
			if got := p.cli.Run.Delivery.HTTPTimeout; got != test.want {
				t.Errorf("HTTP_TIMEOUT = %v, want %v", got, test.want)
			}
		})
	}
}

func TestGivenEnvironmentOnly(t *testing.T) {
	t.Parallel()
	if os.Getenv("PATH") == "" {
		t.Fatal("this test needs a variable that the process has")
	}
	if p := parse([]string{"path"}, nil); p.cli.Path.Path != "" || p.code != 0 {
		t.Errorf("read the process's environment: %q, code %d", p.cli.Path.Path, p.code)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const notURLs = "must be one or more URLs such as nats://host:4222, separated by commas"
	for name, test := range map[string]struct {
		args, env []string
		want      []string // of stderr, less the program's name
	}{
		"everything at once": {
			args: []string{"run", "--max-attempts=0", "--hold-max", "1m"},
			env: []string{"STREAM_REPLICAS=many", "NATS_PROVISION=perhaps", "PERMIT_LEASE=5", "LOG_LEVEL=loud",
				"PROVIDERS=clevertap,onesignal", "HOLD_MIN=10m", "HTTP_ADDR=8080", "CLEVERTAP_PASSCODE=hunter2"},
			want: []string{
				`MAX_ATTEMPTS (--max-attempts) is "0", must be a whole number from 1 to 1000`,
				`STREAM_REPLICAS is "many", must be a whole number from 1 to 5`,
				`NATS_PROVISION is "perhaps", must be true or false`,
				`PROVIDERS is "clevertap,onesignal", must be one or more of clevertap, courier`,
				`PERMIT_LEASE is "5", must be a duration such as 500ms, 10s or 5m, longer than 0s`,
				`LOG_LEVEL is "loud", must be one of debug, info, warn, error`,
				`NATS_URL is not set, ` + notURLs,
				`CLEVERTAP_ACCOUNT_ID is not set, must be given together with CLEVERTAP_PASSCODE`,
				`HOLD_MIN is "10m", must not be longer than HOLD_MAX (1m)`,
				`HTTP_ADDR is "8080", must be host:port or :port, with a port from 0 to 65535`,
			},
		},
		"the same variable of another command": {
			args: []string{"check"}, env: enough("MAX_ATTEMPTS=-1"),
			want: []string{`MAX_ATTEMPTS is "-1", must be a whole number from 1 to 1000`},
		},
		"an argument": {
			args: []string{"resume", "everything"}, env: enough(),
			want: []string{`<provider> is "everything", must be one of clevertap, courier`},
		},
		"a missing argument": {
			args: []string{"resume"},
			want: []string{`NATS_URL is not set, ` + notURLs, `<provider> is not set, must be one of clevertap, courier`},
		},
		"a flag without a variable": {
			args: []string{"resume", "courier", "--share=1.5"}, env: enough(),
			want: []string{`--share is "1.5", must be a number from 0 to 1`},
		},
		"a number below zero": {
			args: []string{"resume", "courier", "--share", "-1", "--nats-url", "nats://x"},
			want: []string{`--share is "-1", must be a number from 0 to 1`},
		},
		"a duration below zero": {
			args: []string{"run", "--http-timeout", "-5s"}, env: enough(),
			want: []string{`HTTP_TIMEOUT (--http-timeout) is "-5s", must be a duration such as 500ms, 10s or 5m, from 50ms to 5m`},
		},
		"a number below zero for nobody": {
			args: []string{"resume", "courier", "-1"}, env: enough(),
			want: []string{`unknown flag -1, did you mean "-h"?`},
		},
		"a flag without a value": {
			args: []string{"resume", "courier", "--nats-url"},
			want: []string{`NATS_URL (--nats-url) is without a value, ` + notURLs},
		},
		"a secret that looks like a flag": {
			args: []string{"run", "--courier-api-key", "--hunter2"},
			want: []string{`COURIER_API_KEY (--courier-api-key) is without a value, must not be empty`},
		},
		"a long value of several lines": {
			args: []string{"run"}, env: enough("HTTP_TIMEOUT=" + strings.Repeat("x\n", 100)),
			want: []string{`HTTP_TIMEOUT is "` + strings.Repeat(`x\n`, 40) + `"…, must be a duration such as 500ms, 10s or 5m, from 50ms to 5m`},
		},
		"unknown flag":    {args: []string{"run", "--nats-uri=x"}, want: []string{`unknown flag --nats-uri, did you mean "--nats-url"?`}},
		"unknown command": {args: []string{"rum"}, want: []string{`unexpected argument rum, did you mean "run"?`}},
		"no command":      {want: []string{`expected one of "run", "check", "resume", "path"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse(test.args, test.env)
			want := ""
			for _, line := range test.want {
				want += "worker: " + line + "\n"
			}
			if p.stderr != want {
				t.Errorf("stderr:\n%s\nwant:\n%s", p.stderr, want)
			}
			if p.command != "" || p.code != 2 || p.stdout != "" {
				t.Errorf("command %q, code %d, stdout %q; want none, 2 and nothing", p.command, p.code, p.stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	p := parse([]string{"run", "--help"}, []string{"HTTP_TIMEOUT=wrong", "CLEVERTAP_PASSCODE=hunter2"})
	if p.command != "" || p.code != 0 || p.stderr != "" {
		t.Fatalf("command %q, code %d, stderr:\n%s", p.command, p.code, p.stderr)
	}
	if strings.Contains(p.stdout, "hunter2") {
		t.Error("the help shows a secret")
	}
	flat := strings.Join(strings.Fields(p.stdout), " ")
	for _, want := range []string{
		"--http-timeout=10s Time that one call may take (from 50ms to 5m; $HTTP_TIMEOUT).",
		"--[no-]nats-provision Make streams, consumers and bucket when they are missing (default true; $NATS_PROVISION).",
		"--log-format=auto Form of the log: auto is text on a terminal and JSON otherwise (auto, json, text; $LOG_FORMAT).",
		"Servers of the broker (required; $NATS_URL).",
		"--clevertap-passcode=SECRET Passcode of the CleverTap project ($CLEVERTAP_PASSCODE).",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in the help:\n%s", want, p.stdout)
		}
	}
	for _, v := range config.Variables(&config.Worker{}) {
		if !strings.Contains(p.stdout, "$"+v.Name) {
			t.Errorf("no %s in the help", v.Name)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	p := parse([]string{"resume", "courier", "--lines=a, b", "--lines= c "}, []string{"NATS_URL= nats://a:1 , b:2,"})
	if p.code != 0 {
		t.Fatal(p.stderr)
	}
	if got := strings.Join(p.cli.Resume.NATS.URL, "|"); got != "nats://a:1|b:2" {
		t.Errorf("NATS_URL = %q", got)
	}
	if got := strings.Join(p.cli.Resume.Lines, "|"); got != "a, b| c " {
		t.Errorf("a list without a separator = %q", got)
	}
}

// write makes a file of the test's own and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
