package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be the broker and the provider too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && isRole(os.Args[1]) {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// The whole bench, small: every event is delivered and acknowledged by both,
// or it ends with an error. The figures mean nothing.
func TestSmallBench(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"-events", "250", "-rounds", "1", "-memory-events", "400", "-judge=false"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, errs.String(), out.String())
	}
	for _, want := range []string{
		"backlog: 250 events; 250 of them, of 4", "backlog: 400 events; 150 of them, of 4",
		"loop, round 1 ", "worker, round 1 ", "loop, median ", "worker / loop ",
		"clevertap: CPU a token is ", "courier: CPU a token is ", "peak memory ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestWrongFlags(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"unknown flag": {"-fast"}, "no events": {"-events", "0"}, "negative rounds": {"-rounds", "-1"},
		"negative memory events": {"-memory-events", "-1"}, "an argument": {"now"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 2 || errs.Len() == 0 || out.Len() != 0 {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out.String(), errs.String())
		}
	}
}

// A contender that ends by itself is an error that shows its log, not a wait.
func TestContenderThatFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := openStage(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	if err := st.store(ctx, 10, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.measure(ctx, contender{"broken", self, "", func(cmd *exec.Cmd, _ *stage, _ []string) {
		cmd.Args = append(cmd.Args, "broker") // without its folder
	}}, "courier")
	if err == nil || !strings.Contains(err.Error(), "broken to courier: it ended before everything was delivered") ||
		!strings.Contains(err.Error(), "want the folder") {
		t.Errorf("error is %v", err)
	}
}
