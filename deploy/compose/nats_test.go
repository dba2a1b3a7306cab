package compose_test

import (
	flagset "flag"
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

// options are those of a service's server, by its command and the file of this
// machine that is mounted where the command says.
func options(t *testing.T, s types.ServiceConfig) *server.Options {
	t.Helper()
	args := slices.Clone(s.Command[1:])
	flag := slices.Index(args, "--config")
	mounted := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == args[flag+1] })
	if mounted < 0 {
		return nil // it would end at once
	}
	args[flag+1] = s.Volumes[mounted].Source
	parsed, err := server.ConfigureOptions(flagset.NewFlagSet(s.Name, flagset.ContinueOnError), args, nil, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return parsed
}

func TestOneServerSyncsWhatItWrites(t *testing.T) {
	t.Parallel()
	is := options(t, load(t, nil).Services["nats"])
	if !is.JetStream || !is.SyncAlways || is.HTTPPort != 8222 || is.Port != 4222 || is.Cluster.Port != 0 || !strings.HasPrefix(is.StoreDir, "/data/") {
		t.Errorf("JetStream %t, sync %t, monitoring on %d, clients on %d, cluster on %d, store %s",
			is.JetStream, is.SyncAlways, is.HTTPPort, is.Port, is.Cluster.Port, is.StoreDir)
	}
}

func TestThreeServersAreOneCluster(t *testing.T) {
	t.Parallel()
	project := load(t, []string{"cluster"}, "STREAM_REPLICAS=3")
	alone := options(t, load(t, nil).Services["nats"])
	for _, name := range []string{"nats", "nats-2", "nats-3"} {
		s := project.Services[name]
		is := options(t, s)
		if !is.JetStream || !is.SyncAlways || is.HTTPPort != 8222 || len(is.Routes) != 3 || is.StoreDir == alone.StoreDir {
			t.Errorf("%s: JetStream %t, sync %t, monitoring on %d, %d routes, store %s", name, is.JetStream, is.SyncAlways, is.HTTPPort, len(is.Routes), is.StoreDir)
		}
		// Clients find each by the one name, the others find it by its own.
		names := append([]string{name}, s.Networks["default"].Aliases...)
		if !slices.Contains(names, "nats") || !slices.Contains(names, is.ServerName) ||
			!slices.ContainsFunc(is.Routes, func(route *url.URL) bool { return route.Hostname() == is.ServerName }) {
			t.Errorf("%s is called %q, its server %s, routes lead to %v", name, names, is.ServerName, is.Routes)
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
		if options(t, project.Services[name]) != nil {
			t.Errorf("%s would run alone", name)
		}
	}
}

// Real providers never get the sample that waits in the fakes' store.
func TestAccountsHaveStoresOfTheirOwn(t *testing.T) {
	t.Parallel()
	stores := map[string]bool{}
	for _, env := range [][]string{nil, {"WORKER_ENV=.env.example"}, {"STREAM_REPLICAS=3"}, {"STREAM_REPLICAS=3", "WORKER_ENV=.env.example"}} {
		stores[options(t, load(t, nil, env...).Services["nats"]).StoreDir] = true
	}
	if len(stores) != 4 {
		t.Errorf("stores %v", stores)
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
