package compose_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"github.com/tokenrelay/tokenrelay/deploy/observe/boards"
)

// Grafana is not run in any test: what it is told must fit the dashboards and the
// file that mounts them.
func TestGrafanaIsToldWhatTheDashboardsNeed(t *testing.T) {
	t.Parallel()
	var told struct {
		Datasources []struct{ UID, Type, URL string }
		Providers   []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	project := everything(t)
	grafana := project.Services["grafana"]
	for _, v := range grafana.Volumes {
		if filepath.Ext(v.Source) != ".yaml" {
			continue
		}
		text, err := os.ReadFile(v.Source)
		if err == nil {
			err = yaml.Unmarshal(text, &told)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if d := told.Datasources; len(d) != 1 || d[0].UID != boards.Datasource || d[0].Type != "prometheus" || d[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources %+v, want one with the uid %s", d, boards.Datasource)
	}
	if len(told.Providers) != 1 || told.Providers[0].Type != "file" {
		t.Fatalf("providers of dashboards: %+v", told.Providers)
	}
	mounted := slices.IndexFunc(grafana.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == told.Providers[0].Options.Path })
	if mounted < 0 {
		t.Fatalf("nothing is mounted at %s", told.Providers[0].Options.Path)
	}
	if boards, err := filepath.Glob(filepath.Join(grafana.Volumes[mounted].Source, "*.json")); err != nil || len(boards) < 3 {
		t.Errorf("dashboards %q, %v", boards, err)
	}
}
