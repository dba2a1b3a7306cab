package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What the images of the drill say of themselves.
const (
	version  = "v0.0.0-drill"
	revision = "0123456789abcdef"
)

// mostWorker is how large the worker's image may be, in bytes.
const mostWorker = 20_000_000

// build builds every target of the Dockerfile and looks at each image.
func (d *drill) build(ctx context.Context) error {
	targets, err := d.images.targets()
	if err != nil {
		return err
	}
	began := time.Now()
	var sizes []string
	for _, target := range targets {
		image := project + "/" + target
		if _, err := d.shell.docker(ctx, "build", "--quiet", "--target", target, "--tag", image,
			"--build-arg", "VERSION="+version, "--build-arg", "REVISION="+revision, "."); err != nil {
			return err
		}
		size, err := d.inspect(ctx, image, target)
		if err != nil {
			return fmt.Errorf("image %s: %w", target, err)
		}
		sizes = append(sizes, fmt.Sprintf("%s %.1f MB", target, float64(size)/1e6))
	}
	d.say("images built and looked at in %.0f s: %s", time.Since(began).Seconds(), strings.Join(sizes, ", "))
	return nil
}

// inspect checks what an image says of itself and that it runs with nothing but
// itself; it returns its size.
func (d *drill) inspect(ctx context.Context, image, target string) (int, error) {
	text, err := d.shell.docker(ctx, "image", "inspect", "--format", "{{json .}}", image)
	if err != nil {
		return 0, err
	}
	var is struct {
		Size   int
		Config struct {
			User        string
			Labels      map[string]string
			Healthcheck struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(text), &is); err != nil {
		return 0, err
	}
	labels := is.Config.Labels
	const prefix = "org.opencontainers.image."
	switch {
	case is.Config.User != "65532:65532":
		return 0, fmt.Errorf("its user is %q", is.Config.User)
	case labels[prefix+"version"] != version || labels[prefix+"revision"] != revision || labels[prefix+"title"] == "" || labels[prefix+"source"] == "":
		return 0, fmt.Errorf("its labels are %v", labels)
	case len(is.Config.Healthcheck.Test) == 0 || !slices.Contains([]string{"CMD", "NONE"}, is.Config.Healthcheck.Test[0]):
		return 0, fmt.Errorf("its health check is %q", is.Config.Healthcheck.Test)
	case target == "worker" && is.Size > mostWorker:
		return 0, fmt.Errorf("it has %d bytes, more than %d", is.Size, mostWorker)
	}
	said, err := d.shell.docker(ctx, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", "--user", "12345:12345", image, "--version")
	if err != nil {
		return 0, err
	}
	if want := fmt.Sprintf("%s %s (revision %s, go", target, version, revision); !strings.HasPrefix(said, want) {
		return 0, fmt.Errorf("--version says %q, want %s…", said, want)
	}
	if target == "demo" { // it brings its broker
		return is.Size, nil
	}
	return is.Size, d.linksNoBroker(ctx, image, target)
}

// linksNoBroker looks into the image's binary.
func (d *drill) linksNoBroker(ctx context.Context, image, target string) error {
	container, err := d.shell.docker(ctx, "create", image)
	if err != nil {
		return err
	}
	binary := filepath.Join(d.temp, target)
	_, err = d.shell.docker(ctx, "cp", container+":/"+target, binary)
	if _, removeErr := d.shell.docker(ctx, "rm", container); err == nil {
		err = removeErr
	}
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	for _, module := range info.Deps {
		if strings.Contains(module.Path, "nats-server") {
			return fmt.Errorf("its binary links %s", module.Path)
		}
	}
	return nil
}
