package config_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string][]string{
		"man":  {".TH WORKER 1 ", `worker \- carries push tokens`, `.B resume \-\-nats\-url=URL,... <provider>`, `<provider>: Provider to resume (required; clevertap, courier).`, `(required; $NATS_URL)`, `\-\-no\-nats\-provision`},
		"bash": {"complete -F _worker worker", "--clevertap-region) words='eu eu1 in1 sg1 us1 aps3 mec1'", "words='clevertap courier'", "--no-nats-provision", "| --nats-tls-ca |"},
		"zsh":  {"#compdef worker", "'resume:End a hold now'", "'1:provider:(clevertap courier)'", "'*--nats-url=[Servers of the broker]:URL,...: '", ":PATH:_files'"},
		"fish": {"-a resume -d 'End a hold now'", "-l nats-provision -d", "-l no-nats-provision -d", "-l nats-tls-ca -r -F -d", "-l log-level -r -f -a 'debug info warn error'"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := parse([]string{"--generate", kind}, nil)
			if p.command != "" || p.code != 0 || p.stderr != "" {
				t.Fatalf("command %q, code %d, stderr:\n%s", p.command, p.code, p.stderr)
			}
			for _, text := range want {
				if !strings.Contains(p.stdout, text) {
					t.Errorf("no %q in\n%s", text, p.stdout)
				}
			}
		})
	}
}

func TestGenerateWhatIsNotThere(t *testing.T) {
	t.Parallel()
	p := parse([]string{"--generate=csh"}, nil)
	if want := `--generate is "csh", must be one of man, bash, zsh, fish`; p.code != 2 || p.stdout != "" || !strings.Contains(p.stderr, want) {
		t.Errorf("code %d, stdout %q, stderr %q, want 2 and %q", p.code, p.stdout, p.stderr, want)
	}
}

func TestGenerateToAFullDisk(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	command, code := config.Parse("worker", "Carries push tokens.", &cli{}, []string{"--generate=man"}, nil, full{}, &stderr)
	if want := "worker: standard output: no space left\n"; command != nil || code != 1 || stderr.String() != want {
		t.Errorf("code %d, stderr %q, want 1 and %q", code, stderr.String(), want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }
