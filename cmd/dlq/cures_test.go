package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

// explained is every code with words of its own, as their source has it, and
// some that have none.
func explained(t *testing.T) (codes []string) {
	t.Helper()
	source, err := os.ReadFile("../../dlq/meaning.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range regexp.MustCompile(`(?m)^\t\t"(?:\w+ )?(\w+)": \{"`).FindAllStringSubmatch(string(source), -1) {
		codes = append(codes, entry[1])
	}
	if len(codes) < 20 {
		t.Fatalf("only %q", codes)
	}
	return append(codes, "999", "http_418", "http_503", "http_5$(id)", "OTHER")
}

// Every dlq command that a cure tells can be typed as it stands.
func TestCuresCommandsAreTaken(t *testing.T) {
	t.Parallel()
	env := []string{"NATS_URL=nats://127.0.0.1:4222"}
	told := 0
	for _, provider := range append(event.Providers(), "pigeon $(id)") {
		for _, code := range explained(t) {
			for _, command := range regexp.MustCompile("`dlq [^`]*`").FindAllString(dlq.Explain(provider, code).Cure, -1) {
				told++
				var problems bytes.Buffer
				if taken, _ := config.Parse("dlq", "", &cli{}, strings.Fields(strings.Trim(command, "`"))[1:], env, &problems, &problems); taken == nil {
					t.Errorf("%s %s: %s: %s", provider, code, command, &problems)
				}
				if strings.ContainsAny(command, "$|;") {
					t.Errorf("%s is no command to be typed", command)
				}
			}
		}
	}
	if told < 15 {
		t.Errorf("only %d commands", told)
	}
}
