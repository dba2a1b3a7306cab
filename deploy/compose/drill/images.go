package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// standInLabel marks the images that take the place of others: no real one is
// ever replaced or removed.
const standInLabel = "tokenrelay.stand-in"

// images are those that the shipped files name, the ones that had to be made for
// it, and the project's own.
type images struct {
	shell  shell
	temp   string
	keep   bool // stand-ins of an earlier run do
	say    func(string, ...any)
	before []string // that there were
	base   string   // name of the image that the commands are built in
	server string   // of NATS
	graphs string   // of Prometheus
	apt    sync.Mutex
}

// provide sees to it that each image which the shipped files name is there: one
// that is there already or can be pulled is used as it is. Grafana has no
// stand-in and is left out.
func (i *images) provide(ctx context.Context) error {
	if err := i.read(); err != nil {
		return err
	}
	var err error
	if i.before, err = i.shell.list(ctx, "images", "-aq", "--no-trunc"); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, makeIt := range map[string]func(context.Context, string) error{i.base: i.makeGo, i.server: i.makeNATS, i.graphs: i.makePrometheus} {
		group.Go(func() error {
			if label, err := i.label(ctx, name); err == nil && (label == "" || i.keep) {
				return nil
			}
			if _, err := i.shell.docker(ctx, "pull", "--quiet", name); err == nil {
				i.say("%s is pulled", name)
				return nil
			}
			if err := makeIt(ctx, name); err != nil {
				return fmt.Errorf("%s cannot be pulled, and no stand-in be made: %w", name, err)
			}
			i.say("%s cannot be pulled: there is a stand-in now", name)
			return nil
		})
	}
	return group.Wait()
}

// read finds the names in the shipped files.
func (i *images) read() error {
	dockerfile, err := os.ReadFile(filepath.Join(i.shell.dir, "Dockerfile"))
	if err != nil {
		return err
	}
	compose, err := os.ReadFile(filepath.Join(i.shell.dir, "docker-compose.yml"))
	if err != nil {
		return err
	}
	for _, wanted := range []struct {
		name    *string
		text    []byte
		pattern string
	}{
		{&i.base, dockerfile, `(?m)^ARG BUILD_IMAGE=(\S+)$`},
		{&i.server, compose, `(?m)^\s*image: (nats:\S+)$`},
		{&i.graphs, compose, `(?m)^\s*image: (prom/prometheus:\S+)$`},
	} {
		found := regexp.MustCompile(wanted.pattern).FindSubmatch(wanted.text)
		if found == nil {
			return fmt.Errorf("no image %s in the shipped files", wanted.pattern)
		}
		*wanted.name = string(found[1])
	}
	return nil
}

// label says what an image stands in for: nothing when it is a real one.
func (i *images) label(ctx context.Context, name string) (string, error) {
	return i.shell.docker(ctx, "image", "inspect", "--format", `{{index .Config.Labels "`+standInLabel+`"}}`, name)
}

// remove takes away the project's images, the stand-ins, and what the builder
// left of the stages in between.
func (i *images) remove(ctx context.Context) error {
	if i.base == "" {
		return nil
	}
	ours, err := i.shell.list(ctx, "images", "--filter", "reference="+project+"*", "--filter", "reference="+project+"/*", "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return err
	}
	left, leftErr := i.stages(ctx)
	var standIns []string
	for _, name := range []string{i.base, i.server, i.graphs} {
		if label, err := i.label(ctx, name); err == nil && label != "" {
			standIns = append(standIns, name)
		}
	}
	// The stages hold on to the image that they were built on.
	errs := []error{leftErr}
	for _, names := range [][]string{ours, left, standIns} {
		if len(names) > 0 {
			_, err := i.shell.docker(ctx, append([]string{"rmi", "-f"}, names...)...)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stages are the images without a name that were not there before and were built
// on the base.
func (i *images) stages(ctx context.Context) ([]string, error) {
	base, err := i.shell.list(ctx, "images", "-q", "--no-trunc", i.base)
	if err != nil || len(base) == 0 { // nothing was built
		return nil, err
	}
	nameless, err := i.shell.list(ctx, "images", "-q", "--no-trunc", "--filter", "dangling=true")
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, image := range nameless {
		if slices.Contains(i.before, image) {
			continue
		}
		history, err := i.shell.list(ctx, "history", "-q", "--no-trunc", image)
		if err == nil && slices.Contains(history, base[0]) {
			ours = append(ours, image)
		}
	}
	return ours, nil
}

// targets are the stages of the Dockerfile that are images of ours.
func (i *images) targets() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(i.shell.dir, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^FROM base AS (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, found[1])
	}
	if len(names) < 5 {
		return nil, fmt.Errorf("the Dockerfile has only the targets %s", strings.Join(names, ", "))
	}
	return names, nil
}
