package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// drill is a run: the tools it found and what it has to remove.
type drill struct {
	settings settings
	shell    shell
	compose  []string // the command and its first arguments
	images   *images
	temp     string
	out      io.Writer
	began    time.Time
}

// newDrill says in one line what is missing.
func newDrill(ctx context.Context, s settings, env []string, out io.Writer) (*drill, error) {
	root, err := filepath.Abs(s.root)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "docker-compose.yml")); err != nil {
		return nil, err
	}
	d := &drill{settings: s, shell: shell{dir: root, env: undisturbed(env)}, out: out, began: time.Now()}
	engine, err := d.shell.docker(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		why := strings.Split(strings.TrimSpace(err.Error()), "\n")
		return nil, fmt.Errorf("this needs a Docker engine, and there is none: %s", why[len(why)-1])
	}
	if d.compose, err = findCompose(ctx, d.shell, s.compose); err != nil {
		return nil, err
	}
	version, err := d.shell.run(ctx, d.compose[0], append(slices.Clip(d.compose[1:]), "version", "--short")...)
	if err != nil {
		return nil, err
	}
	if d.temp, err = os.MkdirTemp("", "tokenrelay-drill-"); err != nil {
		return nil, err
	}
	d.images = &images{shell: d.shell, temp: d.temp, keep: s.keep, say: d.say}
	d.say("Docker engine %s, %s %s", engine, strings.Join(d.compose, " "), version)
	return d, nil
}

// undisturbed is the environment without what would change Compose's mind.
func undisturbed(env []string) []string {
	var kept []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "COMPOSE_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

func findCompose(ctx context.Context, s shell, given string) ([]string, error) {
	tools := [][]string{{"docker", "compose"}, {"docker-compose"}}
	if given != "" {
		tools = [][]string{strings.Fields(given)}
	}
	for _, tool := range tools {
		if _, err := s.run(ctx, tool[0], append(slices.Clip(tool[1:]), "version")...); err == nil {
			return tool, nil
		}
	}
	return nil, errors.New("this needs Docker Compose, and there is neither `docker compose` nor `docker-compose`")
}

// say prints a line with the time since the beginning.
func (d *drill) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, "%7.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// play is the whole drill.
func (d *drill) play(ctx context.Context) error {
	if err := d.remains(ctx); err != nil { // of a run that was killed
		return err
	}
	if err := d.images.provide(ctx); err != nil {
		return err
	}
	if err := d.build(ctx); err != nil {
		return err
	}
	if d.settings.only != partCluster {
		if err := d.single(ctx); err != nil {
			return fmt.Errorf("one broker: %w", err)
		}
		if err := d.accounts(ctx); err != nil {
			return fmt.Errorf("real accounts: %w", err)
		}
	}
	if d.settings.only != partSingle {
		if err := d.cluster(ctx); err != nil {
			return fmt.Errorf("three brokers: %w", err)
		}
	}
	return nil
}

// clean removes all that the drill made.
func (d *drill) clean(ctx context.Context) error {
	err := d.remains(ctx)
	if !d.settings.keep {
		err = errors.Join(err, d.images.remove(ctx))
	}
	return errors.Join(err, os.RemoveAll(d.temp))
}

// remains removes what there is of the project: containers, networks, volumes.
func (d *drill) remains(ctx context.Context) error {
	const ofProject = "label=com.docker.compose.project=" + project
	containers, err := d.shell.list(ctx, "ps", "-aq", "--filter", ofProject)
	if err == nil && len(containers) > 0 {
		_, err = d.shell.docker(ctx, append([]string{"rm", "-f"}, containers...)...)
	}
	if err != nil {
		return err
	}
	for _, kind := range []string{"network", "volume"} {
		names, err := d.shell.list(ctx, kind, "ls", "-q", "--filter", ofProject)
		if err == nil && len(names) > 0 {
			_, err = d.shell.docker(ctx, append([]string{kind, "rm"}, names...)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
