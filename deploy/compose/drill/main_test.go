package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWithoutAnEngineOneLineSaysSo(t *testing.T) {
	t.Parallel()
	env := append(os.Environ(), "DOCKER_HOST=unix:///nowhere/docker.sock")
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"-root", "../../.."}, env, &stdout, &stderr)
	said := strings.TrimSuffix(stderr.String(), "\n")
	if code != 1 || strings.Contains(said, "\n") || !strings.HasPrefix(said, "drill: this needs a Docker engine") || strings.HasSuffix(said, ": ") || stdout.Len() > 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout.String(), said)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-only", "both"}, {"-bogus"}, {"single"}} {
		var stdout, stderr strings.Builder
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%q: exit %d, %q", args, code, stderr.String())
		}
	}
}

// The names of the images come from the shipped files: a changed pattern there must
// not leave the drill without one.
func TestImagesAreFoundInTheShippedFiles(t *testing.T) {
	t.Parallel()
	i := &images{shell: shell{dir: "../../.."}}
	if err := i.read(); err != nil {
		t.Fatal(err)
	}
	for name, prefix := range map[string]string{i.base: "golang:", i.server: "nats:", i.graphs: "prom/prometheus:"} {
		if !strings.HasPrefix(name, prefix) {
			t.Errorf("found %q, want %s…", name, prefix)
		}
	}
	targets, err := i.targets()
	if err != nil || len(targets) != 5 {
		t.Errorf("targets %q, %v", targets, err)
	}
}
