package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// contender is a program that delivers the backlog.
type contender struct {
	name     string
	binary   string
	consumer string // stands before the provider in its consumers' names
	prepare  func(cmd *exec.Cmd, st *stage, providers []string)
}

func contenders(s settings) []contender {
	return []contender{{"loop", s.loop, "loop-", loopCommand}, {"worker", s.worker, "", workerCommand}}
}

func loopCommand(cmd *exec.Cmd, st *stage, providers []string) {
	cmd.Args = append(cmd.Args, "-nats", st.broker.url, "-providers", strings.Join(providers, ","),
		"-clevertap", st.provider.url+"/clevertap", "-courier", st.provider.url+"/courier")
}

// workerCommand leaves everything at its default but where things are.
func workerCommand(cmd *exec.Cmd, st *stage, providers []string) {
	cmd.Args = append(cmd.Args, "run")
	cmd.Env = []string{
		"NATS_URL=" + st.broker.url, "PROVIDERS=" + strings.Join(providers, ","), "HTTP_ADDR=127.0.0.1:0",
		"CLEVERTAP_BASE_URL=" + st.provider.url + "/clevertap", "CLEVERTAP_ACCOUNT_ID=account", "CLEVERTAP_PASSCODE=passcode",
		"COURIER_BASE_URL=" + st.provider.url + "/courier", "COURIER_API_KEY=key",
	}
}

// build makes the binaries that were not given.
func build(ctx context.Context, dir string, s *settings) error {
	for _, b := range []struct {
		binary *string
		source string
	}{
		{&s.worker, "github.com/tokenrelay/tokenrelay/cmd/worker"},
		{&s.loop, "github.com/tokenrelay/tokenrelay/internal/bench/loop"},
	} {
		if *b.binary != "" {
			continue
		}
		*b.binary = filepath.Join(dir, filepath.Base(b.source))
		cmd := exec.CommandContext(ctx, "go", "build", "-o", *b.binary, b.source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as they are shipped
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build %s: %w", b.source, err)
		}
	}
	return nil
}
