package observe_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// unused are the metrics that no panel and no rule asks for, and why.
var unused = map[string]string{}

// A worker that runs, scraped by the real thing: every query of every panel and
// rule finds what it asks for, and every metric of ours is asked for.
func TestQueriesOfARunningWorker(t *testing.T) {
	t.Parallel()
	binary, _ := tools(t)
	demo := startDemo(t)
	began := time.Now()
	p := startPrometheus(t, binary, demo.metrics)
	eventually(t, "the first scrape", func() error {
		if series, err := p.ask(t.Context(), `tokenrelay_events_total == 0`, began, true); err != nil || len(series) == 0 {
			return fmt.Errorf("no events_total (%w)", err)
		}
		return nil
	})
	demo.publish(t)
	var queries []query
	for name, board := range readBoards(t) {
		queries = append(queries, queriesOf(name, board)...)
	}
	panels := len(queries)
	queries = append(queries, ruleQueries(t)...)
	t.Logf("%d queries of panels, %d of rules", panels, len(queries)-panels)
	eventually(t, "every query finds what it asks for", func() error {
		var found []string
		for _, q := range queries {
			for _, provider := range []string{"clevertap", "courier"} {
				found = append(found, p.problems(t.Context(), q, provider, began)...)
			}
		}
		if len(found) > 0 {
			return fmt.Errorf("%d problems:\n%s", len(found), strings.Join(found, "\n"))
		}
		return nil
	})
	p.checkVariables(t)
	p.checkRules(t)
	p.checkMetrics(t, queries)
	p.checkBroken(t, began)
}

// problems are what is wrong with a query where Prometheus knows the metrics.
func (p prom) problems(ctx context.Context, q query, provider string, began time.Time) []string {
	found := q.problems(provider)
	expr, err := q.parse(provider)
	if err != nil {
		return found
	}
	say := func(format string, args ...any) { found = append(found, q.where+": "+fmt.Sprintf(format, args...)) }
	known := map[model.LabelName]bool{}
	for _, u := range selectors(expr) {
		own := p.labelsOf(ctx, u.Name)
		if len(own) == 0 {
			say("there is no metric %s", u.Name)
			continue
		}
		maps.Copy(known, own)
		for _, m := range u.LabelMatchers {
			if m.Name != model.MetricNameLabel && !own[model.LabelName(m.Name)] && m.Value != ".*" {
				say("%s has no label %s", u.Name, m.Name)
			}
		}
		plain := *u.VectorSelector
		plain.OriginalOffset, plain.OriginalOffsetExpr = 0, nil
		if series, err := p.ask(ctx, plain.String(), began, true); err != nil || len(series) == 0 {
			say("%s finds no series (%v)", plain.String(), err)
		}
	}
	for _, label := range grouped(expr) {
		if !known[model.LabelName(label)] {
			say("nothing that it looks at has the label %s", label)
		}
	}
	series, err := p.ask(ctx, q.written(provider), began, q.once)
	switch {
	case err != nil:
		say("cannot be executed: %v", err)
	case q.panels && len(series) == 0:
		say("shows nothing: %s", q.written(provider))
	}
	for _, label := range q.names {
		if !known[model.LabelName(label)] || len(series) > 0 && !slices.ContainsFunc(series, func(m model.Metric) bool { return m[model.LabelName(label)] != "" }) {
			say("no series has the label %s that it shows", label)
		}
	}
	return found
}

// ask executes a query for one moment, or for the time since the beginning.
func (p prom) ask(ctx context.Context, expr string, began time.Time, once bool) ([]model.Metric, error) {
	var value model.Value
	var err error
	if once {
		value, _, _, err = p.Query(ctx, expr, time.Now())
	} else {
		value, _, _, err = p.QueryRange(ctx, expr, promapi.Range{Start: began, End: time.Now(), Step: time.Second})
	}
	var series []model.Metric
	switch value := value.(type) {
	case model.Vector:
		for _, sample := range value {
			series = append(series, sample.Metric)
		}
	case model.Matrix:
		for _, stream := range value {
			series = append(series, stream.Metric)
		}
	}
	return series, err
}

// labelsOf are the labels of a metric's series; none: there is no such metric.
func (p prom) labelsOf(ctx context.Context, metric string) map[model.LabelName]bool {
	series, _, _, err := p.Series(ctx, []string{metric}, time.Now().Add(-time.Hour), time.Now())
	if err != nil {
		return nil
	}
	found := map[model.LabelName]bool{}
	for _, s := range series {
		for name := range s {
			found[name] = true
		}
	}
	return found
}

// checkVariables asks what the dashboards' variables ask.
func (p prom) checkVariables(t *testing.T) {
	for name, board := range readBoards(t) {
		for variable, asks := range variableQueries(t, board) {
			match := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(asks)
			if match == nil {
				t.Errorf("%s: %s asks %s", name, variable, asks)
				continue
			}
			selector := query{expr: match[1]}.written("")
			values, _, _, err := p.LabelValues(t.Context(), match[2], []string{selector}, time.Now().Add(-time.Hour), time.Now())
			if err != nil || len(values) == 0 {
				t.Errorf("%s: %s has no values (%v)", name, variable, err)
			}
		}
	}
}

// checkRules waits until Prometheus has evaluated each rule, and says how.
func (p prom) checkRules(t *testing.T) {
	eventually(t, "every rule is evaluated", func() error {
		result, err := p.Rules(t.Context(), nil)
		if err != nil {
			return err
		}
		count := 0
		for _, group := range result.Groups {
			for _, rule := range group.Rules {
				count++
				var name, health, last string
				switch rule := rule.(type) {
				case promapi.AlertingRule:
					name, health, last = rule.Name, string(rule.Health), rule.LastError
				case promapi.RecordingRule:
					name, health, last = rule.Name, string(rule.Health), rule.LastError
				}
				if health != string(promapi.RuleHealthGood) {
					return fmt.Errorf("%s is %s: %s", name, health, last)
				}
			}
		}
		if want := len(ruleQueries(t)); count != want {
			return fmt.Errorf("%d rules of %d", count, want)
		}
		return nil
	})
}

// checkMetrics compares what the worker exports with what is asked for.
func (p prom) checkMetrics(t *testing.T, queries []query) {
	values, _, _, err := p.LabelValues(t.Context(), "__name__", nil, time.Now().Add(-time.Hour), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	exported, asked := map[string]bool{}, map[string]bool{}
	for _, value := range values {
		if strings.HasPrefix(string(value), "tokenrelay_") {
			exported[family(string(value))] = true
		}
	}
	for _, q := range queries {
		expr, err := q.parse("clevertap")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range selectors(expr) {
			asked[family(u.Name)] = true
		}
	}
	if len(exported) < 20 {
		t.Errorf("the worker exports only %v", slices.Sorted(maps.Keys(exported)))
	}
	for name := range exported {
		if reason, ok := unused[name]; !asked[name] && !ok {
			t.Errorf("no panel and no rule asks for %s: use it, or say in `unused` why not", name)
		} else if asked[name] && ok {
			t.Errorf("%s is used, though it is told as unused: %s", name, reason)
		}
	}
	for name := range unused {
		if !exported[name] {
			t.Errorf("%s is told as unused and does not exist", name)
		}
	}
}

// family is a metric without what a histogram adds.
func family(name string) string {
	return regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
}

// checkBroken shows that a query with a mistake is found.
func (p prom) checkBroken(t *testing.T, began time.Time) {
	sound := query{where: "sound", panels: true, expr: `max by (provider) (tokenrelay_pending_events{job=~"$job"})`, names: []string{"provider"}}
	if found := p.problems(t.Context(), sound, "clevertap", began); len(found) > 0 {
		t.Errorf("a sound query has problems: %q", found)
	}
	for _, c := range []struct{ expr, name, want string }{
		{`max(tokenrelay_pendig_events)`, "", "no metric tokenrelay_pendig_events"},
		{`max(tokenrelay_pending_events{provder="clevertap"})`, "", "no label provder"},
		{`max(tokenrelay_pending_events{provder!="clevertap"})`, "", "no label provder"},
		{`max(tokenrelay_pending_events{provider="clevrtap"})`, "", "finds no series"},
		{`max by (providr) (tokenrelay_pending_events)`, "", "the label providr"},
		{`max by (provider) (tokenrelay_letters) / on (providr) max by (provider) (tokenrelay_letters_max_age_seconds)`, "", "the label providr"},
		{`max by (provider) (tokenrelay_pending_events)`, "providr", "the label providr that it shows"},
		{`max by (provider) (tokenrelay_pending_events)`, "instance", "the label instance that it shows"},
		{`max by (provider) (tokenrelay_pending_events) > 1e12`, "", "shows nothing"},
		{`max by (provider (tokenrelay_pending_events)`, "", "cannot be read"},
		{`max by (provider) (tokenrelay_pending_event())`, "", "cannot be read"},
		{`tokenrelay_open_calls / on (provider) tokenrelay_calls_total`, "", "cannot be executed"},
		{`sum(tokenrelay_pending_events)`, "", "take its max"},
		{`sum(tokenrelay_events_total)`, "", "take its rate"},
	} {
		broken := query{where: "broken", panels: true, expr: c.expr}
		if c.name != "" {
			broken.names = []string{c.name}
		}
		found := p.problems(t.Context(), broken, "clevertap", began)
		if !slices.ContainsFunc(found, func(problem string) bool { return strings.Contains(problem, c.want) }) {
			t.Errorf("%s: %q is not found; only %q", c.expr, c.want, found)
		}
	}
}

// running is a demo in a process of its own.
type running struct{ metrics, nats string } // addresses

// startDemo builds the demo and starts it, until the test ends.
func startDemo(t *testing.T) running {
	t.Helper()
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", folder, "-ldflags", "-X github.com/tokenrelay/tokenrelay/internal/build.revision=live", "./cmd/demo")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, output)
	}
	command := exec.Command(filepath.Join(folder, "demo"))
	command.Env = append(os.Environ(), "LOG_LEVEL=error")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, stdout)
		if err := command.Wait(); err != nil {
			t.Errorf("the demo did not end in order: %v", err)
		}
	})
	late := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(stdout)
	find := func(line string) string {
		for lines.Scan() {
			if match := regexp.MustCompile(line).FindStringSubmatch(lines.Text()); match != nil {
				return match[1]
			}
		}
		t.Fatalf("the demo does not print %s", line)
		return ""
	}
	return running{nats: find(`NATS\s+(\S+)`), metrics: find(`health\s+http://([^/]+)/readyz`)}
}

// publish publishes what is delivered and what dies.
func (r running) publish(t *testing.T) {
	t.Helper()
	conn, err := nats.Connect(r.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 300 {
		event := fmt.Sprintf(`{"user_id":"u-%[1]d","object_id":"__g%[1]d","token":"token-%[1]d","type":"fcm"}`, i)
		if i%10 == 0 {
			event = "no event"
		}
		if err := conn.Publish("tokens.registered", []byte(event)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
}
