package config_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

// Whoever can reach the console from another machine needs a password.
func TestConsoleSettings(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	cert, key := brokertest.Certificate(t)
	_, otherKey := brokertest.Certificate(t)
	password := write(t, "hunter2")
	demanded := func(addr string) string {
		return "CONSOLE_PASSWORD is not set, must be given (or CONSOLE_PASSWORD_FILE) when CONSOLE_ADDR (" + addr + ") is not loopback"
	}
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"nothing":                  {nil, nil},
		"loopback":                 {[]string{"CONSOLE_ADDR=127.8.9.1:1"}, nil},
		"loopback of IPv6":         {[]string{"CONSOLE_ADDR=[::1]:0"}, nil},
		"localhost":                {[]string{"CONSOLE_ADDR=localhost:8090"}, nil},
		"every address":            {[]string{"CONSOLE_ADDR=:8090"}, []string{demanded(":8090")}},
		"0.0.0.0":                  {[]string{"CONSOLE_ADDR=0.0.0.0:8090"}, []string{demanded("0.0.0.0:8090")}},
		"[::]":                     {[]string{"CONSOLE_ADDR=[::]:8090"}, []string{demanded("[::]:8090")}},
		"a name":                   {[]string{"CONSOLE_ADDR=localhost.example.com:80"}, []string{demanded("localhost.example.com:80")}},
		"mapped loopback":          {[]string{"CONSOLE_ADDR=[::ffff:127.0.0.1]:80"}, nil},
		"with a password":          {[]string{"CONSOLE_ADDR=:8090", "CONSOLE_PASSWORD=hunter2"}, nil},
		"with a file":              {[]string{"CONSOLE_ADDR=:8090", "CONSOLE_PASSWORD_FILE=" + password}, nil},
		"with a file that is not":  {[]string{"CONSOLE_ADDR=:8090", "CONSOLE_PASSWORD_FILE=" + missing}, []string{fmt.Sprintf("CONSOLE_PASSWORD_FILE is %q, cannot be read: no such file or directory", missing)}},
		"an empty password":        {[]string{"CONSOLE_ADDR=:8090", "CONSOLE_PASSWORD="}, []string{demanded(":8090")}},
		"no port":                  {[]string{"CONSOLE_ADDR=127.0.0.1"}, []string{`CONSOLE_ADDR is "127.0.0.1", must be host:port or :port, with a port from 0 to 65535`}},
		"names":                    {[]string{"CONSOLE_HOSTS=dlq.example.com, 10.0.0.7,::1"}, nil},
		"a name with a port":       {[]string{"CONSOLE_HOSTS=dlq.example.com:443"}, []string{`CONSOLE_HOSTS is "dlq.example.com:443", must be names such as console.example.com, without scheme and port, separated by commas`}},
		"a URL":                    {[]string{"CONSOLE_HOSTS=https://dlq"}, []string{`CONSOLE_HOSTS is "https://dlq", must be names such as console.example.com, without scheme and port, separated by commas`}},
		"any name":                 {[]string{"CONSOLE_HOSTS=*"}, []string{`CONSOLE_HOSTS is "*", must be names in full, such as console.example.com; patterns are not understood`}},
		"a pattern":                {[]string{"CONSOLE_HOSTS=dlq.example.com,*.example.com"}, []string{`CONSOLE_HOSTS is "*.example.com", must be names in full, such as console.example.com; patterns are not understood`}},
		"a pair":                   {[]string{"CONSOLE_TLS_CERT=" + cert, "CONSOLE_TLS_KEY=" + key}, nil},
		"a certificate alone":      {[]string{"CONSOLE_TLS_CERT=" + cert}, []string{"CONSOLE_TLS_KEY is not set, must be given together with CONSOLE_TLS_CERT"}},
		"a key alone":              {[]string{"CONSOLE_TLS_KEY=" + key}, []string{"CONSOLE_TLS_CERT is not set, must be given together with CONSOLE_TLS_KEY"}},
		"another's key":            {[]string{"CONSOLE_TLS_CERT=" + cert, "CONSOLE_TLS_KEY=" + otherKey}, []string{fmt.Sprintf("CONSOLE_TLS_CERT is %q, must be a certificate in PEM that CONSOLE_TLS_KEY belongs to", cert)}},
		"a session without an end": {[]string{"CONSOLE_SESSION=25h"}, []string{`CONSOLE_SESSION is "25h", must be a duration such as 500ms, 10s or 5m, from 1m to 24h`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var settings struct {
				config.Console `embed:""`
			}
			var p parsed
			var stdout, stderr bytes.Buffer
			_, p.code = config.Parse("worker", "", &settings, nil, test.env, &stdout, &stderr)
			p.stderr = stderr.String()
			wantLines(t, p, test.want)
		})
	}
}
