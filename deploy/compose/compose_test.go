package compose_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// root is the top of the tree, seen from this package's folder.
const root = "../.."

// load reads the shipped file as Compose of today does.
func load(t *testing.T, profiles []string, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithName("tokenrelay"), cli.WithEnv(env), cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// everything is the file with all its profiles.
func everything(t *testing.T) *types.Project {
	t.Helper()
	return load(t, []string{"*"})
}

func TestPlainUpRunsTheMainJobAndProfilesAddToIt(t *testing.T) {
	t.Parallel()
	plain := []string{"console", "load", "nats", "sandbox", "worker"}
	for _, c := range []struct {
		profiles []string
		adds     []string
	}{
		{nil, nil},
		{[]string{"observe"}, []string{"grafana", "prometheus"}},
		{[]string{"cluster"}, []string{"nats-2", "nats-3"}},
	} {
		want := slices.Sorted(slices.Values(slices.Concat(plain, c.adds)))
		if got := slices.Sorted(maps.Keys(load(t, c.profiles).Services)); !slices.Equal(got, want) {
			t.Errorf("profiles %q run %q, want %q", c.profiles, got, want)
		}
	}
}

func TestEveryServiceIsHardened(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`:v?\d+\.\d+\.\d+(-\w+)?$`)
	for name, s := range everything(t).Services {
		switch {
		case !s.ReadOnly:
			t.Errorf("%s may write to its root", name)
		case !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged:
			t.Errorf("%s has capabilities", name)
		case !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
			t.Errorf("%s may gain privileges", name)
		case s.ContainerName != "":
			t.Errorf("%s has a container name and cannot be scaled", name)
		case s.Build == nil && !pinned.MatchString(s.Image):
			t.Errorf("%s: the image %s is not pinned", name, s.Image)
		case s.Build != nil && s.Image != "":
			t.Errorf("%s is built here, and would be looked for in a registry as %s", name, s.Image)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s listens on %s:%s", name, port.HostIP, port.Published)
			}
		}
	}
	if worker := everything(t).Services["worker"]; len(worker.Ports) > 0 {
		t.Error("worker has a port of the host and cannot be scaled")
	}
}

func TestAWorkerHasTimeToEnd(t *testing.T) {
	t.Parallel()
	var worker struct {
		config.Worker `embed:""`
	}
	for _, v := range config.Variables(&worker) {
		if v.Name != "SHUTDOWN_GRACE" {
			continue
		}
		grace, err := time.ParseDuration(v.Default)
		if stop := everything(t).Services["worker"].StopGracePeriod; err != nil || stop == nil || time.Duration(*stop) < grace+5*time.Second {
			t.Errorf("stop_grace_period is %v, SHUTDOWN_GRACE %s (%v)", stop, v.Default, err)
		}
		return
	}
	t.Fatal("no SHUTDOWN_GRACE")
}

func TestSecretsAreFiles(t *testing.T) {
	t.Parallel()
	project := everything(t)
	for name, secret := range project.Secrets {
		text, err := os.ReadFile(secret.File)
		if err != nil || strings.TrimSpace(string(text)) == "" {
			t.Errorf("secret %s: %q, %v", name, text, err)
		}
	}
	secret := regexp.MustCompile(`(PASSCODE|API_KEY|PASSWORD)$`)
	for name, s := range project.Services {
		for variable := range s.Environment {
			if secret.MatchString(variable) {
				t.Errorf("%s has the secret %s in its environment", name, variable)
			}
		}
	}
}

func TestRealAccountsStartNoFakes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var env []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	file := filepath.Join(dir, ".env")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	env = append(env, "WORKER_ENV="+file, "SECRETS="+dir)
	project := load(t, nil, env...)
	for _, name := range []string{"sandbox", "load"} {
		s := project.Services[name]
		if s.GetScale() != 0 {
			t.Errorf("%s runs %d times", name, s.GetScale())
		}
	}
	for name, value := range project.Services["worker"].Environment {
		if value != nil && strings.Contains(*value, "sandbox") {
			t.Errorf("the worker's %s is %s", name, *value)
		}
	}
	for _, secret := range project.Secrets {
		if filepath.Dir(secret.File) != dir {
			t.Errorf("a secret is read from %s", secret.File)
		}
	}
}

// What is mounted is there; the rest of the host is not.
func TestMountsLeadIntoTheTree(t *testing.T) {
	t.Parallel()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range everything(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if inside, err := filepath.Rel(top, v.Source); err != nil || !strings.HasPrefix(inside, "deploy"+string(filepath.Separator)) || !v.ReadOnly {
				t.Errorf("%s mounts %s, read-only %t", name, v.Source, v.ReadOnly)
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
	}
}
