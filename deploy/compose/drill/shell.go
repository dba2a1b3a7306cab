package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// shell runs commands in a folder, with an environment.
type shell struct {
	dir string
	env []string
}

// with adds variables.
func (s shell) with(variables ...string) shell {
	s.env = slices.Concat(s.env, variables)
	return s
}

// run returns the standard output, without the white space around it.
func (s shell) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s\n%s", name, strings.Join(args, " "), err, tail(stdout.String()), tail(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// tail is the end of an output, enough to see why it ended.
func tail(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// docker is run of the Docker client.
func (s shell) docker(ctx context.Context, args ...string) (string, error) {
	return s.run(ctx, "docker", args...)
}

// list is the words of the Docker client's answer: ids or names.
func (s shell) list(ctx context.Context, args ...string) ([]string, error) {
	out, err := s.docker(ctx, args...)
	return strings.Fields(out), err
}
