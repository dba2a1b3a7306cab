package observe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"github.com/tokenrelay/tokenrelay/deploy/observe/boards"
)

func TestDashboardsAreThoseOfTheGenerator(t *testing.T) {
	t.Parallel()
	want, err := boards.All()
	if err != nil {
		t.Fatal(err)
	}
	have := dashboardFiles(t)
	if names := slices.Sorted(maps.Keys(have)); !slices.Equal(names, []string{"dead-letters.json", "fleet.json", "provider.json"}) {
		t.Fatalf("dashboards has %q", names)
	}
	for name, text := range want {
		if !bytes.Equal(have[name], text) {
			t.Errorf("dashboards/%s is not what the generator writes: go -C deploy generate ./observe/...", name)
		}
	}
}

func TestComposeHasTheDatasourceOfTheDashboards(t *testing.T) {
	t.Parallel()
	provisioned, err := os.ReadFile("../compose/grafana/datasource.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(provisioned), "uid: "+boards.Datasource+"\n") {
		t.Errorf("compose/grafana/datasource.yaml has no uid %s", boards.Datasource)
	}
}

// What Grafana does not know it drops without a word; the SDK's types do not.
func TestDashboardsDecodeStrictly(t *testing.T) {
	t.Parallel()
	for name, text := range dashboardFiles(t) {
		board := decode(t, name, text)
		if err := board.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, field := range []string{`"refresh"`, `"gridPos"`, `"legendFormat"`} {
		if strictly(bytes.Replace(dashboardFiles(t)["fleet.json"], []byte(field), []byte(`"misspelt"`), 1)) == nil {
			t.Errorf("%s misspelt is taken for a field", field)
		}
	}
}

func dashboardFiles(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("dashboards/*")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// decode checks strictly and then decodes: the SDK's strict way finds what is
// wrong, and loses the panels.
func decode(t *testing.T, name string, text []byte) dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	if err := strictly(text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var board dashboard.Dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(panelsOf(board)) < 5 {
		t.Fatalf("%s: only %d panels", name, len(panelsOf(board)))
	}
	return board
}

// strictly is what is wrong with a dashboard. The SDK's error is not nil where
// there is none: it is an empty list.
func strictly(text []byte) error {
	err := new(dashboard.Dashboard).UnmarshalJSONStrict(text)
	if list, ok := errors.AsType[cog.BuildErrors](err); ok && len(list) == 0 {
		return nil
	}
	return err
}

func readBoards(t *testing.T) map[string]dashboard.Dashboard {
	t.Helper()
	read := map[string]dashboard.Dashboard{}
	for name, text := range dashboardFiles(t) {
		read[name] = decode(t, name, text)
	}
	return read
}

// panelsOf are a dashboard's without its rows, which hold none.
func panelsOf(board dashboard.Dashboard) []dashboard.Panel {
	var panels []dashboard.Panel
	for _, entry := range board.Panels {
		if entry.Panel != nil {
			panels = append(panels, *entry.Panel)
		}
	}
	return panels
}

func targets(panel dashboard.Panel) []prometheus.Dataquery {
	var list []prometheus.Dataquery
	for _, target := range panel.Targets {
		switch target := target.(type) {
		case prometheus.Dataquery:
			list = append(list, target)
		case *prometheus.Dataquery:
			list = append(list, *target)
		}
	}
	return list
}

// queriesOf are what a dashboard asks Prometheus.
func queriesOf(name string, board dashboard.Dashboard) []query {
	var list []query
	for _, panel := range panelsOf(board) {
		for _, target := range targets(panel) {
			q := query{where: name + ", " + text(panel.Title), expr: target.Expr, panels: true, once: target.Instant != nil && *target.Instant}
			for _, match := range regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`).FindAllStringSubmatch(text(target.LegendFormat), -1) {
				q.names = append(q.names, match[1])
			}
			list = append(list, q)
		}
	}
	return list
}

// variableQueries are what a dashboard asks Prometheus for its variables.
func variableQueries(t *testing.T, board dashboard.Dashboard) map[string]string {
	t.Helper()
	queries := map[string]string{}
	for _, variable := range board.Templating.List {
		if variable.Type == dashboard.VariableTypeQuery {
			if variable.Query == nil || variable.Query.String == nil {
				raw, _ := json.Marshal(variable.Query)
				t.Fatalf("variable %s asks %s", variable.Name, raw)
			}
			queries[variable.Name] = *variable.Query.String
		}
	}
	return queries
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
