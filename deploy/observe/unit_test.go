package observe_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// healthy is the test of rules_test.yaml in which nothing may fire.
const healthy = "a healthy fleet"

// unitFile is what promtool reads, as far as we use it.
type unitFile struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	Tests              []unitTest     `yaml:"tests"`
}

type unitTest struct {
	Name        string         `yaml:"name"`
	Interval    model.Duration `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Alerts []alertCase `yaml:"alert_rule_test"`
	Exprs  []exprCase  `yaml:"promql_expr_test"`
}

type alertCase struct {
	EvalTime  model.Duration `yaml:"eval_time"`
	AlertName string         `yaml:"alertname"`
	Expected  []struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

type exprCase struct {
	Expr     string         `yaml:"expr"`
	EvalTime model.Duration `yaml:"eval_time"`
	Expected []struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	} `yaml:"exp_samples"`
}

func readUnitFile(t *testing.T) unitFile {
	t.Helper()
	text, err := os.ReadFile("rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file unitFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("rules_test.yaml: %v", err)
	}
	if !slices.Equal(file.RuleFiles, []string{"rules.yaml"}) {
		t.Fatalf("rules_test.yaml tests %q", file.RuleFiles)
	}
	return file
}

// simulation evaluates the rules over the series of a unit test, a step at a time.
type simulation struct {
	loader *promqltest.LazyLoader
	groups []*rules.Group
	now    time.Time
}

func newSimulation(t *testing.T, test unitTest, order []string) *simulation {
	t.Helper()
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", test.Interval)
	for _, input := range test.InputSeries {
		fmt.Fprintf(&load, "  %s %s\n", input.Series, input.Values)
	}
	loader, err := promqltest.NewLazyLoader(load.String(), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: promqlParser()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loader.Close() })
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(loader.QueryEngine(), loader.Storage()), AppendableV2: loader.Storage(),
		Context: t.Context(), Logger: promslog.NewNopLogger(), Parser: promqlParser(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
	})
	byName, errs := manager.LoadGroups(time.Duration(test.Interval), labels.EmptyLabels(), "", nil, false, "rules.yaml")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s := &simulation{loader: loader, groups: slices.Collect(maps.Values(byName)), now: time.Unix(0, 0).UTC()}
	slices.SortFunc(s.groups, func(a, b *rules.Group) int {
		return slices.Index(order, a.Name()) - slices.Index(order, b.Name())
	})
	for _, group := range s.groups {
		for _, rule := range group.AlertingRules() {
			rule.SetRestored(true)
		}
	}
	return s
}

// step evaluates the rules now.
func (s *simulation) step(t *testing.T) {
	t.Helper()
	s.loader.WithSamplesTill(s.now, func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range s.groups {
			group.Eval(s.loader.Context(), s.now)
			for _, rule := range group.Rules() {
				if err := rule.LastError(); err != nil {
					t.Fatalf("%s after %s: %v", rule.Name(), s.now.Sub(time.Unix(0, 0)), err)
				}
			}
		}
	})
}

// alert is one that fires, as text that can be compared.
type alert struct{ labels, annotations string }

// firing are the alerts that fire now, by name.
func (s *simulation) firing() map[string][]alert {
	found := map[string][]alert{}
	for _, group := range s.groups {
		for _, rule := range group.AlertingRules() {
			for _, active := range rule.ActiveAlerts() {
				if active.State == rules.StateFiring {
					found[rule.Name()] = append(found[rule.Name()], alert{active.Labels.String(), active.Annotations.String()})
				}
			}
		}
	}
	return found
}

func (s *simulation) query(t *testing.T, expr string) promql.Vector {
	t.Helper()
	query, err := s.loader.QueryEngine().NewInstantQuery(t.Context(), s.loader.Queryable(), nil, expr, s.now)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	vector, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return slices.Clone(vector)
}

// The same file as promtool's, with the newest engine.
func TestUnits(t *testing.T) {
	t.Parallel()
	file := readUnitFile(t)
	for _, test := range file.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, test, file.GroupEvalOrder)
			for ; !s.now.After(lastLook(test)); s.now = s.now.Add(time.Duration(file.EvaluationInterval)) {
				s.step(t)
				checkAlerts(t, s, test)
				checkExprs(t, s, test)
				if firing := s.firing(); test.Name == healthy && len(firing) > 0 {
					t.Fatalf("after %s: %v", after(s.now), firing)
				}
			}
		})
	}
}

func lastLook(test unitTest) time.Time {
	var last model.Duration
	for _, look := range test.Alerts {
		last = max(last, look.EvalTime)
	}
	for _, look := range test.Exprs {
		last = max(last, look.EvalTime)
	}
	return time.Unix(0, 0).UTC().Add(time.Duration(last))
}

func after(now time.Time) model.Duration { return model.Duration(now.Sub(time.Unix(0, 0))) }

func checkAlerts(t *testing.T, s *simulation, test unitTest) {
	t.Helper()
	for _, look := range test.Alerts {
		if look.EvalTime != after(s.now) {
			continue
		}
		var want []alert
		for _, e := range look.Expected {
			named := maps.Clone(e.Labels)
			if named == nil {
				named = map[string]string{}
			}
			named[labels.AlertName] = look.AlertName
			want = append(want, alert{labels.FromMap(named).String(), labels.FromMap(e.Annotations).String()})
		}
		got := s.firing()[look.AlertName]
		for _, list := range [][]alert{want, got} {
			slices.SortFunc(list, func(a, b alert) int { return strings.Compare(a.labels, b.labels) })
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(alert{})); diff != "" {
			t.Errorf("%s after %s (- wanted, + fires):\n%s", look.AlertName, look.EvalTime, diff)
		}
	}
}

func checkExprs(t *testing.T, s *simulation, test unitTest) {
	t.Helper()
	for _, look := range test.Exprs {
		if look.EvalTime != after(s.now) {
			continue
		}
		var want, got []string
		for _, e := range look.Expected {
			series, err := promqlParser().ParseMetric(e.Labels)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%s %v", series, e.Value))
		}
		for _, sample := range s.query(t, look.Expr) {
			got = append(got, fmt.Sprintf("%s %v", sample.Metric, sample.F))
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s after %s (- wanted, + is):\n%s", look.Expr, look.EvalTime, diff)
		}
	}
}

func promqlParser() parser.Parser { return parser.NewParser(parser.Options{}) }
