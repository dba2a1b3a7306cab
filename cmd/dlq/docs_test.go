package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// Every dlq command of the runbook is one that this program takes.
func TestRunbooksCommandsAreTaken(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)^dlq [^#\n]*|`dlq [^`]*`").FindAllString(string(text), -1)
	if len(commands) < 15 {
		t.Fatalf("only %d commands", len(commands))
	}
	for _, command := range commands {
		args := strings.Fields(strings.Trim(command, "`"))[1:]
		var problems bytes.Buffer
		selected, _ := config.Parse("dlq", "", &cli{}, args, []string{"NATS_URL=nats://127.0.0.1:4222"}, &problems, &problems)
		if selected == nil {
			t.Errorf("%s: %s", command, &problems)
		}
	}
}
