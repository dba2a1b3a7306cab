package rules_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// A service of ours and what it can be told.
var services = map[string]any{
	"worker": &struct {
		config.Worker `embed:""`
	}{},
	"console": &struct {
		config.Console `embed:""`
		NATS           config.NATS `embed:""`
	}{},
}

// assigned are the settings in a unit or in a file of variables, those in
// comments included, in order.
var assigned = regexp.MustCompile(`(?m)^(?:# )?([A-Z][A-Za-z_]+)=(.*)$`)

func TestEnvironmentFilesNameOnlyVariablesThatExist(t *testing.T) {
	t.Parallel()
	for name, settings := range services {
		for _, line := range assigned.FindAllStringSubmatch(read(t, "deploy/systemd/"+name+".env"), -1) {
			if !slices.ContainsFunc(config.Variables(settings), func(v config.Variable) bool { return v.Name == line[1] }) {
				t.Errorf("deploy/systemd/%s.env names %s, which the %[1]s does not know", name, line[1])
			}
		}
	}
}

// Whatever can be a secret's file is handed over by systemd, under the name
// that the documents tell.
func TestUnitsHandOverEverySecretThatADocumentNames(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`_FILE$|_CREDS$|_TLS_KEY$`)
	for i, name := range []string{"worker", "console"} {
		var handed, told, want, known []string
		for _, line := range assigned.FindAllStringSubmatch(read(t, "deploy/systemd/tokenrelay-"+name+".service"), -1) {
			if line[1] == "LoadCredential" {
				handed = append(handed, line[2])
			}
		}
		for _, row := range rows(t, read(t, "docs/deployment.md"), "| in `worker.env` | in `console.env` |") {
			variable, file, _ := strings.Cut(row[i], "=")
			told, known = append(told, file), append(known, variable)
		}
		for _, v := range config.Variables(services[name]) {
			if secret.MatchString(v.Name) {
				want = append(want, v.Name)
			}
		}
		compare(t, "docs/deployment.md, files of the "+name, told, handed)
		compare(t, "docs/deployment.md, variables of the "+name, known, want)
	}
}

func TestSystemdWaitsLongerThanTheWorker(t *testing.T) {
	t.Parallel()
	var grace time.Duration
	for _, v := range config.Variables(services["worker"]) {
		if v.Name == "SHUTDOWN_GRACE" {
			grace, _ = time.ParseDuration(v.Default)
		}
	}
	for _, line := range assigned.FindAllStringSubmatch(read(t, "deploy/systemd/tokenrelay-worker.service"), -1) {
		if line[1] != "TimeoutStopSec" {
			continue
		}
		seconds, err := strconv.Atoi(line[2])
		if patience := time.Duration(seconds) * time.Second; err != nil || grace == 0 || patience < grace+5*time.Second {
			t.Errorf("TimeoutStopSec=%s, SHUTDOWN_GRACE is %s: the worker needs that and some seconds more", line[2], grace)
		}
		return
	}
	t.Error("the unit says no TimeoutStopSec")
}
