package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// accounts brings the file up with the variables of .env.example filled in, and
// sees that it would deliver to real accounts, and to nothing else. No event is
// published, so nobody is called.
func (d *drill) accounts(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(d.shell.dir, ".env.example"))
	if err != nil {
		return err
	}
	secrets := filepath.Join(d.temp, "secrets")
	err = os.Mkdir(secrets, 0o700)
	for _, name := range []string{"clevertap_passcode", "courier_api_key", "console_password"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(secrets, name), []byte("made-up\n"), 0o444)) // user 65532 reads it
	}
	if err != nil {
		return err
	}
	file := strings.NewReplacer("WORKER_ENV=.env", "WORKER_ENV="+filepath.Join(d.temp, "env"), "SECRETS=./secrets", "SECRETS="+secrets,
		"CLEVERTAP_ACCOUNT_ID=", "CLEVERTAP_ACCOUNT_ID=MADE-UP").Replace(string(text))
	s, err := d.newStack(ctx, strings.Split(file, "\n"))
	if err != nil {
		return err
	}
	if _, err := s.do(ctx, "up", "-d"); err != nil {
		return err
	}
	services, err := s.services(ctx)
	if err != nil {
		return err
	}
	if slices.Sort(services); !slices.Equal(services, []string{"console", "nats", "worker"}) {
		return fmt.Errorf("it started %s", strings.Join(services, ", "))
	}
	workers, err := s.containers(ctx, "worker")
	if err != nil || len(workers) != 1 {
		return errors.Join(err, fmt.Errorf("workers %q", workers))
	}
	env, err := s.shell.docker(ctx, "inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", workers[0])
	if err != nil {
		return err
	}
	if !strings.Contains(env, "CLEVERTAP_ACCOUNT_ID=MADE-UP\n") || strings.Contains(env, "BASE_URL") || strings.Contains(env, "sandbox") {
		return fmt.Errorf("the worker's environment is\n%s", env)
	}
	d.say("with real accounts: %s are up and ready, neither sandbox nor load", strings.Join(services, ", "))
	return s.down(ctx)
}
