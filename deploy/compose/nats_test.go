package compose_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
)

// serverConfig is the file of this machine that a service's server reads; empty
// when the service has no such file.
func serverConfig(s types.ServiceConfig) string {
	flag := slices.Index(s.Command, "--config")
	if flag < 0 || flag+1 >= len(s.Command) {
		return ""
	}
	mounted := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == s.Command[flag+1] })
	if mounted < 0 {
		return ""
	}
	return s.Volumes[mounted].Source
}

func TestOneServerSyncsWhatItWrites(t *testing.T) {
	t.Parallel()
	options := process(t, load(t, nil).Services["nats"])
	if !options.JetStream || !options.SyncAlways || options.HTTPPort != 8222 || options.Port != 4222 || options.Cluster.Port != 0 {
		t.Errorf("JetStream %t, sync %t, monitoring on %d, clients on %d, cluster on %d",
			options.JetStream, options.SyncAlways, options.HTTPPort, options.Port, options.Cluster.Port)
	}
}

func TestThreeServersAreOneCluster(t *testing.T) {
	t.Parallel()
	project := load(t, []string{"cluster"}, "STREAM_REPLICAS=3")
	alone := process(t, load(t, nil).Services["nats"])
	for _, name := range []string{"nats", "nats-2", "nats-3"} {
		s := project.Services[name]
		options := process(t, s)
		if !options.SyncAlways || options.HTTPPort != 8222 || len(options.Routes) != 3 || options.StoreDir == alone.StoreDir {
			t.Errorf("%s: sync %t, monitoring on %d, %d routes, store %s", name, options.SyncAlways, options.HTTPPort, len(options.Routes), options.StoreDir)
		}
		// Clients find each by the one name, the others find it by its own.
		own := s.Command[slices.Index(s.Command, "--name")+1]
		names := append([]string{name}, s.Networks["default"].Aliases...)
		if !slices.Contains(names, "nats") || !slices.Contains(names, own) ||
			!slices.ContainsFunc(options.Routes, func(route *url.URL) bool { return route.Hostname() == own }) {
			t.Errorf("%s is called %q, its server %s, routes lead to %v", name, names, own, options.Routes)
		}
	}
	if got := *project.Services["worker"].Environment["STREAM_REPLICAS"]; got != "3" {
		t.Errorf("the worker makes %s copies", got)
	}
}

// Three servers that do not know each other, under one name, would share out the
// events: with the profile alone the other two must not run.
func TestProfileClusterAloneRunsNoLoneServers(t *testing.T) {
	t.Parallel()
	project := load(t, []string{"cluster"})
	for _, name := range []string{"nats-2", "nats-3"} {
		if file := serverConfig(project.Services[name]); file != "" {
			t.Errorf("%s would run with %s", name, file)
		}
	}
}

// The tests' server is the one that is shipped.
func TestServerIsTheOneThatIsTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`github.com/nats-io/nats-server/v2 v(\S+)`).FindSubmatch(text)
	if version == nil {
		t.Fatal("go.mod has no nats-server")
	}
	for name, s := range everything(t).Services {
		if strings.HasPrefix(s.Image, "nats:") && s.Image != "nats:"+string(version[1])+"-alpine" {
			t.Errorf("%s runs %s; the tests run %s", name, s.Image, version[1])
		}
	}
}

func process(t *testing.T, s types.ServiceConfig) *server.Options {
	t.Helper()
	options, err := server.ProcessConfigFile(serverConfig(s))
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return options
}
