package observe_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/tokenrelay/tokenrelay/deploy/observe/boards"
)

func readRules(t *testing.T) []rulefmt.RuleGroup {
	t.Helper()
	groups, errs := rulefmt.ParseFile("rules.yaml", false, model.LegacyValidation, promqlParser(), promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return groups.Groups
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	var list []rulefmt.Rule
	for _, group := range readRules(t) {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				list = append(list, rule)
			}
		}
	}
	return list
}

// ruleQueries are what the rules ask Prometheus.
func ruleQueries(t *testing.T) []query {
	t.Helper()
	var list []query
	for _, group := range readRules(t) {
		for _, rule := range group.Rules {
			q := query{where: "rules.yaml, " + rule.Alert + rule.Record, expr: rule.Expr, once: true}
			for _, match := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["description"], -1) {
				q.names = append(q.names, match[1])
			}
			list = append(list, q)
		}
	}
	return list
}

// What somebody reads at night.
func alertProblems(rule rulefmt.Rule, sections map[string]string) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, rule.Alert+": "+fmt.Sprintf(format, args...)) }
	if !strings.HasPrefix(rule.Alert, "Tokenrelay") {
		say("the name does not begin with Tokenrelay")
	}
	if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
		say("severity is %q", rule.Labels["severity"])
	}
	if summary := rule.Annotations["summary"]; !strings.HasSuffix(summary, ".") || strings.Contains(summary, "{{") {
		say("the summary %q is no plain sentence", summary)
	}
	if description := rule.Annotations["description"]; !regexp.MustCompile(`\{\{.*\}\}.*[.?]$`).MatchString(description) {
		say("the description %q does not say where", description)
	}
	page, section, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
	if _, ok := sections[section]; page != boards.Runbook || !ok {
		say("%q is no section of the runbook", rule.Annotations["runbook_url"])
	}
	if len(rule.Annotations) != 3 {
		say("the annotations are %v", rule.Annotations)
	}
	return found
}

func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	sections := runbookSections(t)
	for _, rule := range alerts(t) {
		for _, problem := range alertProblems(rule, sections) {
			t.Error(problem)
		}
	}
	for _, q := range ruleQueries(t) {
		for _, problem := range q.problems("clevertap") {
			t.Error(problem)
		}
	}
	bare := rulefmt.Rule{Alert: "Down", Labels: map[string]string{"severity": "page"}, Annotations: map[string]string{
		"summary": "{{ $labels.job }} is down", "description": "Down.", "runbook_url": boards.Runbook + "#down",
	}}
	if found := alertProblems(bare, sections); len(found) != 5 {
		t.Errorf("of a bad alert only %q is found", found)
	}
}

// runbookSections are the runbook's, by their anchors.
func runbookSections(t *testing.T) map[string]string {
	t.Helper()
	sections := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(runbook(t), -1) {
		anchor := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(match[1]), "")
		sections[strings.ReplaceAll(anchor, " ", "-")] = match[1]
	}
	return sections
}

func runbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The runbook's first table has each alert in the row whose section it leads
// to, and a row without an alert says why.
func TestRunbookHasEveryAlert(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(runbook(t), "\n| you see | alert | section |\n|---|---|---|\n")
	if !found {
		t.Fatal("the runbook has no table of what one sees")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	sections := map[string][]string{} // by alert
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(row, "| \n"), " | ")
		if len(cells) != 3 {
			t.Fatalf("a row of %d cells: %s", len(cells), row)
		}
		names := regexp.MustCompile("`(Tokenrelay\\w+)`").FindAllStringSubmatch(cells[1], -1)
		if len(names) == 0 && !strings.HasPrefix(cells[1], "none: ") {
			t.Errorf("%q has no alert and does not say why", cells[0])
		}
		anchor := regexp.MustCompile(`\(#(.+)\)`).FindStringSubmatch(cells[2])
		if anchor == nil || runbookSections(t)[anchor[1]] == "" {
			t.Errorf("%q leads to no section: %s", cells[0], cells[2])
			continue
		}
		for _, name := range names {
			sections[name[1]] = append(sections[name[1]], anchor[1])
		}
	}
	for _, rule := range alerts(t) {
		_, section, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
		if !slices.Contains(sections[rule.Alert], section) {
			t.Errorf("%s leads to %q, and the runbook's table has it at %q", rule.Alert, section, sections[rule.Alert])
		}
	}
	for name := range sections {
		if !slices.ContainsFunc(alerts(t), func(rule rulefmt.Rule) bool { return rule.Alert == name }) {
			t.Errorf("the runbook's table has %s, and the rules have not", name)
		}
	}
}

// Each alert, each of its severities and windows, fires in a unit test and is
// looked at where nothing is wrong.
func TestEveryAlertFiresInAUnitTest(t *testing.T) {
	t.Parallel()
	fired, silent := map[string]bool{}, map[string]bool{}
	key := func(name string, labels map[string]string) string {
		return name + " " + labels["severity"] + " " + labels["window"]
	}
	for _, test := range readUnitFile(t).Tests {
		for _, look := range test.Alerts {
			for _, e := range look.Expected {
				fired[key(look.AlertName, e.Labels)] = true
			}
			if test.Name == healthy && len(look.Expected) == 0 {
				silent[look.AlertName] = true
			}
		}
	}
	for _, rule := range alerts(t) {
		if !fired[key(rule.Alert, rule.Labels)] {
			t.Errorf("%s, %v, fires in no unit test", rule.Alert, rule.Labels)
		}
		if !silent[rule.Alert] {
			t.Errorf("%q does not look at %s", healthy, rule.Alert)
		}
	}
}

// What others found out the hard way has a test of its name.
func TestEveryTrapHasItsTest(t *testing.T) {
	t.Parallel()
	for _, trap := range []string{"trap: NaN looks healthy", "trap: latencies are blind in a hold", "trap: letters never decay"} {
		if !slices.ContainsFunc(readUnitFile(t).Tests, func(test unitTest) bool { return test.Name == trap && len(test.Exprs) > 0 && len(test.Alerts) > 0 }) {
			t.Errorf("rules_test.yaml has no test %q", trap)
		}
	}
}

// Debian's is the oldest that the rules are for.
func TestPromtoolTakesTheRules(t *testing.T) {
	t.Parallel()
	_, promtool := tools(t)
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		if output, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}
