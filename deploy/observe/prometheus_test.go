package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
)

// patience is how long something may take on a busy machine.
const patience = time.Minute

// machine is what the search for Prometheus asks of the world.
type machine struct {
	cache string // a folder for what was unpacked
	root  bool   // may the list of packages be fetched?
	look  func(name string) (string, error)
	run   func(folder, name string, args ...string) error
}

// tools are the paths of prometheus and promtool: those on the PATH, else those
// of Debian's package, unpacked into the user's cache, where nothing starts
// them. A machine that can have neither is told what to install.
func tools(t *testing.T) (prometheus, promtool string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	prometheus, promtool, err = find(machine{
		cache: filepath.Join(cache, "tokenrelay"), root: os.Geteuid() == 0, look: exec.LookPath,
		run: func(folder, name string, args ...string) error {
			command := exec.Command(name, args...)
			command.Dir = folder
			output, err := command.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, lastLine(output))
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return prometheus, promtool
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}

func find(m machine) (prometheus, promtool string, err error) {
	prometheus, err = m.look("prometheus")
	if err == nil {
		if promtool, err = m.look("promtool"); err == nil {
			return prometheus, promtool, nil
		}
	}
	unpacked := filepath.Join(m.cache, "prometheus")
	if _, err := os.Stat(unpacked); err != nil {
		if err := unpack(m, unpacked); err != nil {
			return "", "", fmt.Errorf("no prometheus and promtool on the PATH: install them (Debian: apt-get install prometheus); %w", err)
		}
	}
	return filepath.Join(unpacked, "usr/bin/prometheus"), filepath.Join(unpacked, "usr/bin/promtool"), nil
}

// unpack appears under its name when it is whole, so that several at once do no
// harm.
func unpack(m machine, folder string) error {
	if err := os.MkdirAll(m.cache, 0o755); err != nil {
		return err
	}
	working, err := os.MkdirTemp(m.cache, "unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(working)
	err = m.run(working, "apt-get", "download", "prometheus")
	if err != nil && m.root { // who has no list yet
		err = errors.Join(m.run(working, "apt-get", "update"), m.run(working, "apt-get", "download", "prometheus"))
	}
	if err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(working, "prometheus_*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("apt-get downloaded %q", packages)
	}
	if err := m.run(working, "dpkg-deb", "-x", packages[0], "root"); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(working, "root"), folder); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

func TestFindPrometheus(t *testing.T) {
	t.Parallel()
	nowhere := func(string) (string, error) { return "", exec.ErrNotFound }
	// debian downloads and unpacks what looks like the package.
	debian := func(lists bool) func(folder, name string, args ...string) error {
		return func(folder, name string, args ...string) error {
			switch args[0] {
			case "update":
				lists = true
				return nil
			case "download":
				if !lists {
					return errors.New("unable to locate package prometheus")
				}
				return os.WriteFile(filepath.Join(folder, "prometheus_2.42_amd64.deb"), nil, 0o600)
			}
			return os.MkdirAll(filepath.Join(folder, args[2], "usr/bin"), 0o755)
		}
	}
	for name, c := range map[string]struct {
		m    machine
		want string // a part of the path, or of the error
	}{
		"on the path":            {machine{look: func(name string) (string, error) { return "/opt/" + name, nil }}, "/opt/prometheus"},
		"downloaded":             {machine{look: nowhere, run: debian(true)}, "usr/bin/prometheus"},
		"root without lists":     {machine{look: nowhere, run: debian(false), root: true}, "usr/bin/prometheus"},
		"nobody without lists":   {machine{look: nowhere, run: debian(false)}, "unable to locate"},
		"no Debian":              {machine{look: nowhere, run: func(string, string, ...string) error { return exec.ErrNotFound }}, "install them"},
		"only half is installed": {machine{look: func(name string) (string, error) { return name, map[string]error{"promtool": exec.ErrNotFound}[name] }, run: debian(true)}, "usr/bin/prometheus"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.m.cache = t.TempDir()
			for range 2 { // the second time from the cache
				prometheus, _, err := find(c.m)
				if told := fmt.Sprint(prometheus, err); !strings.Contains(told, c.want) || strings.Contains(told, "\n") {
					t.Errorf("%s, want %s", told, c.want)
				}
			}
		})
	}
}

// prom is a Prometheus that scrapes one address each second and evaluates our
// rules, until the test ends.
type prom struct{ promapi.API }

func startPrometheus(t *testing.T, binary, target string) prom {
	t.Helper()
	rules, err := filepath.Abs("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: tokenrelay
    static_configs: [{targets: [%q], labels: {namespace: live}}]
`, rules, target)
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	log := &bytes.Buffer{}
	command := exec.Command(binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	command.Dir, command.Stdout, command.Stderr = folder, log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", log)
		}
	})
	eventually(t, "Prometheus is ready", func() error {
		answer, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	return prom{promapi.NewAPI(client)}
}

// freeAddress is one that Prometheus may listen on; with port 0 it would not
// say where it does.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// eventually waits for what gives no signal.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}
