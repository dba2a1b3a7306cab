package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// project is what Compose names everything by.
const project = "tokenrelay-drill"

// stack is the shipped file, brought up on free ports.
type stack struct {
	shell   shell
	compose []string // with the flags that every call has
	ports   map[string]int
}

// newStack hands the file free ports, and what else it is told by variables. An
// env file of its own stands in the place of .env, which may be a developer's.
func (d *drill) newStack(ctx context.Context, envFile []string, variables ...string) (*stack, error) {
	path := filepath.Join(d.temp, "env")
	if err := os.WriteFile(path, []byte(strings.Join(envFile, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &stack{ports: map[string]int{}}
	s.compose = slices.Concat(d.compose, []string{"-p", project, "-f", "docker-compose.yml", "--env-file", path})
	for _, name := range []string{"NATS_PORT", "NATS_2_PORT", "NATS_3_PORT", "CONSOLE_PORT", "SANDBOX_PORT", "PROMETHEUS_PORT"} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all at once, so that no port is handed out twice
		s.ports[name] = listener.Addr().(*net.TCPAddr).Port
		variables = append(variables, name+"="+strconv.Itoa(s.ports[name]))
	}
	s.shell = d.shell.with(append(variables, "VERSION="+version, "REVISION="+revision)...)
	return s, nil
}

// do runs Compose.
func (s *stack) do(ctx context.Context, args ...string) (string, error) {
	return s.shell.run(ctx, s.compose[0], slices.Concat(s.compose[1:], args)...)
}

// containers of a service that run, by id.
func (s *stack) containers(ctx context.Context, service string) ([]string, error) {
	return s.shell.list(ctx, "ps", "-q", "--no-trunc",
		"--filter", "label=com.docker.compose.project="+project, "--filter", "label=com.docker.compose.service="+service)
}

// services that have a container.
func (s *stack) services(ctx context.Context) ([]string, error) {
	return s.shell.list(ctx, "ps", "-a", "--filter", "label=com.docker.compose.project="+project, "--format", `{{.Label "com.docker.compose.service"}}`)
}

// scale runs so many workers and waits until each is ready.
func (s *stack) scale(ctx context.Context, workers int) error {
	if _, err := s.do(ctx, "up", "-d", "--no-deps", "--no-recreate", "--scale", fmt.Sprintf("worker=%d", workers), "worker"); err != nil {
		return err
	}
	return s.healthy(ctx, "worker", workers)
}

// healthy waits until so many containers of a service pass their health check.
func (s *stack) healthy(ctx context.Context, service string, wanted int) error {
	return until(ctx, time.Minute, fmt.Sprintf("%d healthy containers of %s", wanted, service), func() (bool, error) {
		ids, err := s.shell.list(ctx, "ps", "-q", "--filter", "health=healthy",
			"--filter", "label=com.docker.compose.project="+project, "--filter", "label=com.docker.compose.service="+service)
		return len(ids) == wanted, err
	})
}

// cut takes a container off its network for a while. It then has its names again,
// but not always its address.
func (s *stack) cut(ctx context.Context, container string, a time.Duration) error {
	text, err := s.shell.docker(ctx, "inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
	if err != nil {
		return err
	}
	var networks map[string]struct{ Aliases []string }
	if err := json.Unmarshal([]byte(text), &networks); err != nil {
		return err
	}
	for network := range networks {
		if _, err := s.shell.docker(ctx, "network", "disconnect", network, container); err != nil {
			return err
		}
	}
	if err := pause(ctx, a); err != nil {
		return err
	}
	for network, member := range networks {
		args := []string{"network", "connect"}
		for _, alias := range member.Aliases {
			args = append(args, "--alias", alias)
		}
		if _, err := s.shell.docker(ctx, append(args, network, container)...); err != nil {
			return err
		}
	}
	return nil
}

// down removes the stack, and makes sure of it.
func (s *stack) down(ctx context.Context) error {
	if _, err := s.do(ctx, "--profile", "observe", "--profile", "cluster", "down", "-v"); err != nil {
		return err
	}
	for _, kind := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		left, err := s.shell.list(ctx, append(kind, "--filter", "label=com.docker.compose.project="+project)...)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("after `down -v` there is still %s (docker %s)", strings.Join(left, ", "), strings.Join(kind, " "))
		}
	}
	return nil
}

// until asks again and again, for patience at most. An error of the question may
// pass, too.
func until(ctx context.Context, patience time.Duration, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := is()
		if ok && err == nil {
			return nil
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			if err != nil {
				return fmt.Errorf("%s: not within %s: %w", what, patience, err)
			}
			return fmt.Errorf("%s: not within %s", what, patience)
		}
	}
}

// pause is where time itself is meant.
func pause(ctx context.Context, a time.Duration) error {
	timer := time.NewTimer(a)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
