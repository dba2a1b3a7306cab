package observe_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tokenrelay/tokenrelay/deploy/observe/boards"
)

// lint is what is wrong with a dashboard: the rules of Grafana's dashboard
// linter, by its names, and some of ours. Its rules about instances are left
// out: what a fleet does is not one pod's matter.
func lint(name string, board dashboard.Dashboard, uids, sections []string) []string {
	var found []string
	say := func(rule, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s: %s", name, rule, fmt.Sprintf(format, args...)))
	}
	if board.Editable == nil || *board.Editable {
		say("uneditable-dashboard", "it can be edited in place, and the next deploy undoes that")
	}
	lintVariables(board, say)
	for _, link := range board.Links {
		lintLink(link, uids, sections, say)
	}
	for i, panel := range panelsOf(board) {
		lintPanel(panel, say)
		for _, link := range slices.Concat(panel.Links, panel.FieldConfig.Defaults.Links) {
			lintLink(link, uids, sections, say)
		}
		for _, other := range panelsOf(board)[:i] {
			if overlap(*panel.GridPos, *other.GridPos) {
				say("grid", "%s covers %s", text(panel.Title), text(other.Title))
			}
		}
	}
	for _, q := range queriesOf(name, board) {
		found = append(found, q.problems("clevertap")...)
		lintQuery(q, say)
	}
	return found
}

type sayer func(rule, format string, args ...any)

func lintVariables(board dashboard.Dashboard, say sayer) {
	names := map[string]dashboard.VariableModel{}
	for _, variable := range board.Templating.List {
		names[variable.Name] = variable
		if variable.Type != dashboard.VariableTypeQuery {
			continue
		}
		if variable.Refresh == nil || *variable.Refresh != dashboard.VariableRefreshOnTimeRangeChanged {
			say("template-on-time-change-reload", "%s does not reload with the time range", variable.Name)
		}
		if variable.Datasource == nil || text(variable.Datasource.Uid) != "${datasource}" {
			say("template-datasource", "%s does not ask ${datasource}", variable.Name)
		}
	}
	source := names["datasource"]
	if source.Type != dashboard.VariableTypeDatasource || source.Current == nil || text(source.Current.Value.String) != boards.Datasource {
		say("template-datasource", "no variable datasource that begins with %s", boards.Datasource)
	}
	for _, name := range []string{"namespace", "job"} {
		if v := names[name]; v.Type != dashboard.VariableTypeQuery || text(v.AllValue) != ".*" {
			say("template-job", "no variable %s that can be everything", name)
		}
	}
}

func lintLink(link dashboard.DashboardLink, uids, sections []string, say sayer) {
	if uid, ok := strings.CutPrefix(text(link.Url), "/d/"); ok {
		if uid, _, _ = strings.Cut(uid, "?"); !slices.Contains(uids, uid) {
			say("links", "%s leads to no dashboard: %s", link.Title, uid)
		}
		return
	}
	page, section, _ := strings.Cut(text(link.Url), "#")
	if page != boards.Runbook || section != "" && !slices.Contains(sections, section) {
		say("links", "%s leads to no section of the runbook: %s", link.Title, text(link.Url))
	}
}

func lintPanel(panel dashboard.Panel, say sayer) {
	title := text(panel.Title)
	if title == "" || len(text(panel.Description)) < 20 {
		say("panel-title-description", "%q says too little about itself", title)
	}
	if panel.FieldConfig == nil || text(panel.FieldConfig.Defaults.Unit) == "" {
		say("panel-units", "%s has no unit", title)
	}
	if len(targets(panel)) == 0 {
		say("panel-no-targets", "%s asks nothing", title)
	}
	if panel.Datasource == nil || text(panel.Datasource.Uid) != "${datasource}" {
		say("panel-datasource", "%s does not ask ${datasource}", title)
	}
	for _, target := range targets(panel) {
		if target.Datasource == nil || text(target.Datasource.Uid) != "${datasource}" {
			say("panel-datasource", "a query of %s does not ask ${datasource}", title)
		}
		if panel.Type != "table" && text(target.LegendFormat) == "" {
			say("legend", "a series of %s has no name", title)
		}
	}
	if panel.Type == "stat" && !mapsNaN(panel) {
		say("unknown", "%s shows NaN like a value", title)
	}
	if panel.FieldConfig == nil || panel.FieldConfig.Defaults.Thresholds == nil || len(panel.FieldConfig.Defaults.Thresholds.Steps) == 0 {
		say("thresholds", "%s has no thresholds", title)
	}
	if panel.GridPos.X+panel.GridPos.W > 24 {
		say("grid", "%s is wider than the page", title)
	}
}

func mapsNaN(panel dashboard.Panel) bool {
	return panel.FieldConfig != nil && slices.ContainsFunc(panel.FieldConfig.Defaults.Mappings, func(m dashboard.ValueMapping) bool {
		return m.SpecialValueMap != nil && m.SpecialValueMap.Options.Match == dashboard.SpecialValueMatchNullAndNan
	})
}

func overlap(a, b dashboard.GridPos) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func lintQuery(q query, say sayer) {
	if match := regexp.MustCompile(`rate\([^()]*\[(.*?)\]`).FindStringSubmatch(q.expr); match != nil && match[1] != "$__rate_interval" {
		say("target-rate-interval", "%s takes a rate over %s, not $__rate_interval", q.where, match[1])
	}
	written := query{where: q.where, expr: strings.NewReplacer("$namespace", "NAMESPACE", "$job", "JOB").Replace(q.expr)}
	expr, err := written.parse("clevertap")
	if err != nil {
		return // told already
	}
	for _, u := range selectors(expr) {
		for label, value := range map[string]string{"namespace": "NAMESPACE", "job": "JOB"} {
			if !slices.ContainsFunc(u.LabelMatchers, func(m *labels.Matcher) bool {
				return m.Name == label && m.Type == labels.MatchRegexp && m.Value == value
			}) {
				say("target-job", `%s looks at %s without %s=~"$%s"`, q.where, u.Name, label, label)
			}
		}
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	all := readBoards(t)
	uids, sections := uidsOf(all), slices.Sorted(maps.Keys(runbookSections(t)))
	for name, board := range all {
		for _, problem := range lint(name, board, uids, sections) {
			t.Error(problem)
		}
	}
}

func uidsOf(all map[string]dashboard.Dashboard) []string {
	var uids []string
	for _, board := range all {
		uids = append(uids, text(board.Uid))
	}
	return uids
}

// Each rule finds what it is for.
func TestLintFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, old, new string }{
		{"uneditable-dashboard", `"editable": false`, `"editable": true`},
		{"template-datasource", `"value": "tokenrelay-prometheus"`, `"value": "other"`},
		{"template-job", `"allValue": ".*"`, `"allValue": ".+"`},
		{"template-on-time-change-reload", `"refresh": 2`, `"refresh": 1`},
		{"panel-datasource", `"uid": "${datasource}"`, `"uid": "${DS_PROMETHEUS}"`},
		{"panel-title-description", `"title": "Held"`, `"title": ""`},
		{"panel-units", `"unit": "none"`, `"unit": ""`},
		{"links", `"url": "/d/tokenrelay-provider"`, `"url": "/d/tokenrelay-pidgeon"`},
		{"links", "/d/tokenrelay-provider?", "/d/tokenrelay-pidgeon?"},
		{"links", "#a-provider-is-held", "#no-such-section"},
		{"legend", `"legendFormat": "workers"`, `"legendFormat": ""`},
		{"unknown", `"match": "null+nan"`, `"match": "empty"`},
		{"grid", `"x": 6`, `"x": 5`},
		{"target-job", `job=~\"$job\"`, `job=~\".+\"`},
		{"target-rate-interval", `[$__rate_interval]`, `[5m]`},
		{"is a counter", `sum by (provider, outcome) (rate(tokenrelay_events_total{namespace=~\"$namespace\", job=~\"$job\"}[$__rate_interval]))`, `sum(tokenrelay_events_total)`},
		{"take its max", `max by (provider) (tokenrelay_pending_events`, `sum by (provider) (tokenrelay_pending_events`},
		{"cannot be read", `max by (provider) (tokenrelay_pending_events`, `max by provider (tokenrelay_pending_events`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			all := readBoards(t)
			broken := string(dashboardFiles(t)["fleet.json"])
			if !strings.Contains(broken, c.old) {
				t.Fatalf("fleet.json has no %s", c.old)
			}
			board := decode(t, "fleet.json", []byte(strings.ReplaceAll(broken, c.old, c.new)))
			found := lint("fleet.json", board, uidsOf(all), slices.Sorted(maps.Keys(runbookSections(t))))
			if !slices.ContainsFunc(found, func(problem string) bool { return strings.Contains(problem, c.rule) }) {
				t.Errorf("not found; only %q", found)
			}
		})
	}
}
