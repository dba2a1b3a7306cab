package compose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// What the file says to a command of ours the command must know: a variable that
// is spelled wrong would be ignored in silence.
func TestCommandsKnowTheirVariablesAndFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/...")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the commands: %v\n%s", err, output)
	}
	project := everything(t)
	help := map[string]string{}
	for name, s := range project.Services {
		if s.Build != nil {
			help[name] = helpOf(t, filepath.Join(dir, s.Build.Target), s)
		}
	}
	// The worker and the load read one file, each its own part of it.
	both := help["worker"] + help["load"]
	checked := 0
	for name, text := range help {
		s := project.Services[name]
		known := text
		if name == "worker" || name == "load" {
			known = both
		}
		for variable := range s.Environment {
			if checked++; !regexp.MustCompile(`\$` + variable + `\b`).MatchString(known) {
				t.Errorf("%s is told %s, which `%s` does not know", name, variable, s.Build.Target)
			}
		}
		for _, word := range s.Command {
			if strings.HasPrefix(word, "--") {
				if checked++; !regexp.MustCompile(regexp.QuoteMeta(word) + `\b`).MatchString(text) {
					t.Errorf("%s is run with %s, which `%s` does not know", name, word, s.Build.Target)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d variables and flags were found", checked)
	}
}

// helpOf is the help of what a service runs.
func helpOf(t *testing.T, program string, s types.ServiceConfig) string {
	t.Helper()
	args := []string{"--help"}
	switch {
	case len(s.Command) > 0 && !strings.HasPrefix(s.Command[0], "-"):
		args = []string{s.Command[0], "--help"}
	case s.Build.Target == "worker": // as the Dockerfile says
		args = []string{"run", "--help"}
	}
	text, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	return string(text)
}

// What a person may set stands in the file, or is the worker's.
func TestTheExampleOfAccountsKnowsItsVariables(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	help := workerHelp(t)
	named := regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]+)=`).FindAllStringSubmatch(string(example), -1)
	if len(named) < 8 {
		t.Fatalf("only %d variables were found", len(named))
	}
	for _, found := range named {
		variable := found[1]
		if !strings.Contains(string(file), "${"+variable+":-") && !strings.Contains(help, "$"+variable) && variable != "COMPOSE_PROFILES" {
			t.Errorf(".env.example names %s, which neither the compose file nor the worker knows", variable)
		}
	}
}

func workerHelp(t *testing.T) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), "go", "run", "./cmd/worker", "run", "--help")
	run.Dir = root
	text, err := run.Output()
	if err != nil {
		t.Fatalf("worker run --help: %v", err)
	}
	return string(text)
}
