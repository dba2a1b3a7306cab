package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	const word = "hunter2"
	type outer struct {
		Exported   config.Secret
		unexported config.Secret
		pointer    *config.Secret
	}
	secret := config.NewSecret(word)
	in := outer{secret, secret, &secret}

	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c"} {
		_, _ = fmt.Fprintf(&shown, verb+" "+verb+" "+verb+"\n", secret, &secret, in)
	}
	encoded, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(encoded)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("starting", "secret", secret, "pointer", &secret, "settings", in)
	}
	for _, form := range []string{word, fmt.Sprintf("%x", word), fmt.Sprintf("%X", word), fmt.Sprintf("%d", []byte(word))} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("shows %q:\n%s", form, shown.String())
		}
	}
	if !strings.Contains(shown.String(), "[secret]") {
		t.Error("does not show that there is a secret")
	}
	if secret.Reveal() != word || !secret.IsSet() {
		t.Error("does not reveal what it holds")
	}
	if zero := config.NewSecret(""); zero.IsSet() || zero.Reveal() != "" || fmt.Sprint(zero) != "" {
		t.Error("an empty secret is one")
	}
}

func TestSecretSources(t *testing.T) {
	t.Parallel()
	file := write(t, "from file\n")
	missing := filepath.Join(t.TempDir(), "missing")
	empty, twoLines, long := write(t, "\n"), write(t, "hunter2\nhunter3\n"), write(t, strings.Repeat("x", 4097))
	both := []string{`NATS_PASSWORD is set (not shown), must not be given together with NATS_PASSWORD_FILE`}
	for name, test := range map[string]struct {
		args, env []string
		want      string
		problems  []string
	}{
		"variable":                  {nil, []string{"NATS_PASSWORD=hunter2"}, "hunter2", nil},
		"flag":                      {[]string{"--nats-password=hunter2"}, nil, "hunter2", nil},
		"file by variable":          {nil, []string{"NATS_PASSWORD_FILE=" + file}, "from file", nil},
		"file by flag":              {[]string{"--nats-password-file=" + file}, nil, "from file", nil},
		"file by flag over another": {[]string{"--nats-password-file=" + file}, []string{"NATS_PASSWORD_FILE=" + missing}, "from file", nil},
		"blanks belong to it":       {nil, []string{"NATS_PASSWORD_FILE=" + write(t, " two \n")}, " two ", nil},
		"written elsewhere":         {nil, []string{"NATS_PASSWORD_FILE=" + write(t, "word\r\n")}, "word", nil},
		"a pipe":                    {nil, []string{"NATS_PASSWORD_FILE=" + pipe(t, "from pipe\n")}, "from pipe", nil},
		"both variables":            {nil, []string{"NATS_PASSWORD=hunter2", "NATS_PASSWORD_FILE=" + file}, "", both},
		"variable and flag":         {[]string{"--nats-password-file", file}, []string{"NATS_PASSWORD=hunter2"}, "", both},
		"flag and variable": {[]string{"--nats-password=hunter2"}, []string{"NATS_PASSWORD_FILE=" + file}, "", []string{
			`NATS_PASSWORD (--nats-password) is set (not shown), must not be given together with NATS_PASSWORD_FILE`}},
		"missing file": {nil, []string{"NATS_PASSWORD_FILE=" + missing}, "", []string{
			fmt.Sprintf(`NATS_PASSWORD_FILE is %q, cannot be read: no such file or directory`, missing)}},
		"missing file by flag": {[]string{"--nats-password-file=" + missing}, nil, "", []string{
			fmt.Sprintf(`NATS_PASSWORD_FILE (--nats-password-file) is %q, cannot be read: no such file or directory`, missing)}},
		"two lines": {nil, []string{"NATS_PASSWORD_FILE=" + twoLines}, "", []string{
			fmt.Sprintf(`NATS_PASSWORD_FILE is %q, must hold one line, the secret`, twoLines)}},
		"too long": {nil, []string{"NATS_PASSWORD_FILE=" + long}, "", []string{
			fmt.Sprintf(`NATS_PASSWORD_FILE is %q, must hold a secret of at most 4096 bytes`, long)}},
		"empty file": {nil, []string{"NATS_PASSWORD_FILE=" + empty}, "", []string{
			fmt.Sprintf(`NATS_PASSWORD_FILE is %q, must not be an empty file`, empty)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse(append([]string{"resume", "courier"}, test.args...), append(test.env, "NATS_URL=nats://h", "NATS_USER=me"))
			wantLines(t, p, test.problems)
			if got := p.cli.Resume.NATS.Password.Reveal(); test.problems == nil && got != test.want {
				t.Errorf("the secret is %q, want %q", got, test.want)
			}
		})
	}
}

// pipe is what a shell makes of a command whose output is to be read as a file.
func pipe(t *testing.T, text string) string {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close() })
	if _, err := to.WriteString(text); err != nil {
		t.Fatal(err)
	}
	to.Close()
	return fmt.Sprintf("/dev/fd/%d", from.Fd())
}
