package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(nodeVariable); config != "" {
		os.Exit(playNode(config, os.Stderr))
	}
	goleak.VerifyTestMain(m,
		// toxiproxy leaves the stub before one that has closed a connection
		// waiting for a reader.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"))
}

// The seed is one whose ten seconds with three pods have every fault but the
// kill of a leader, which costs a cluster half of them, and its stop in between.
// What a dead pod held must come back within the run, so the ack wait is short.
func TestAShortRun(t *testing.T) {
	t.Parallel()
	const seed, duration, pods = 2795, 10 * time.Second, 3
	if missing := without(plan(seed, duration, pods)); !slices.Equal(missing, []kind{killLeader, freezeLeader}) {
		t.Errorf("the plan of seed %d lacks %v, want only %q and %q: choose another seed", seed, missing, killLeader, freezeLeader)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{
		"-seed", strconv.Itoa(seed), "-duration", duration.String(), "-pods", strconv.Itoa(pods), "-rate", "100", "-ack-wait", "6s", "-dir", t.TempDir(),
	}, nil, &stdout, &stderr)
	t.Log(stdout.String())
	if code != 0 || !strings.Contains(stdout.String(), "the cap held") {
		t.Errorf("exit %d, want 0\n%s", code, stderr.String())
	}
}

// That no process is left shows in the goroutines that wait for them.
func TestAnInterruptedRunEndsEverything(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	// The worker is never reached: no cluster is there so early.
	code := run(ctx, []string{"-worker", os.Args[0], "-dir", dir}, []string{"SEED=3"}, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "seed 3: ") {
		t.Errorf("exit %d and %q, want 1 and the seed", code, stderr.String())
	}
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		args, env []string
		want      string
	}{
		"seed no number":      {nil, []string{"SEED=x"}, `SEED: found "x"`},
		"duration no time":    {nil, []string{"DURATION=60"}, `DURATION: found "60"`},
		"duration too short":  {[]string{"-duration", "1s"}, nil, "-duration must be 10s or more"},
		"no pod":              {[]string{"-pods", "0"}, nil, "-pods 1 or more"},
		"a word":              {[]string{"more"}, nil, "nothing else is taken"},
		"a flag that is none": {[]string{"-chaos"}, nil, "not defined: -chaos"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, c.env, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("exit %d and %q, want 2 and %q", code, stderr.String(), c.want)
			}
		})
	}
}

func TestAFolderThatWasUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, streamsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-worker", os.Args[0], "-dir", dir}, nil, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "the streams of another run") {
		t.Errorf("exit %d and %q, want 1 and what is wrong with the folder", code, stderr.String())
	}
}
