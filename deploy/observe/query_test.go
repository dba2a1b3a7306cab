package observe_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// query is one of a panel or a rule.
type query struct {
	where  string   // it is written
	expr   string   // with Grafana's variables
	names  []string // labels that a legend or an annotation shows
	panels bool     // it is a panel's, which is to show something
	once   bool     // asked for one moment, not for a time
}

// written is the query with the variables' values: everything, and the given
// provider.
func (q query) written(provider string) string {
	return strings.NewReplacer("$__rate_interval", "10s", "$__range", "1h", "$namespace", ".*", "$job", ".*", "$provider", provider).Replace(q.expr)
}

func (q query) parse(provider string) (parser.Expr, error) {
	return promqlParser().ParseExpr(q.written(provider))
}

// used is a selector of a query, and what encloses it, the innermost last.
type used struct {
	*parser.VectorSelector
	within []parser.Node
}

// selectors are the series that a query looks at.
func selectors(expr parser.Expr) []used {
	var found []used
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			found = append(found, used{selector, slices.Clone(path)})
		}
		return nil
	})
	return found
}

// innermost is the last node of a kind that encloses a selector.
func innermost[N parser.Node](u used) (N, bool) {
	for _, node := range slices.Backward(u.within) {
		if n, ok := node.(N); ok {
			return n, true
		}
	}
	var none N
	return none, false
}

// everyPodTells are the figures of the whole fleet, the same from every pod.
func everyPodTells(name string) bool {
	return slices.Contains([]string{
		"tokenrelay_pending_events", "tokenrelay_oldest_pending_seconds", "tokenrelay_events_max_age_seconds",
		"tokenrelay_letters", "tokenrelay_oldest_letter_seconds", "tokenrelay_letters_max_age_seconds", "tokenrelay_provider_held",
	}, name)
}

// problems are what is wrong with a query whatever Prometheus knows.
func (q query) problems(provider string) []string {
	expr, err := q.parse(provider)
	if err != nil {
		return []string{fmt.Sprintf("%s: cannot be read: %v", q.where, err)}
	}
	var found []string
	say := func(format string, args ...any) { found = append(found, q.where+": "+fmt.Sprintf(format, args...)) }
	for _, u := range selectors(expr) {
		if aggregate, ok := innermost[*parser.AggregateExpr](u); everyPodTells(u.Name) && (ok && !slices.Contains([]parser.ItemType{parser.MAX, parser.COUNT}, aggregate.Op) || !ok && q.panels) {
			say("%s is the same from every pod: take its max", u.Name)
		}
		call, ok := innermost[*parser.Call](u)
		if counts(u.Name) && (!ok || !slices.Contains([]string{"rate", "increase"}, call.Func.Name)) && q.panels {
			say("%s is a counter: take its rate or its increase", u.Name)
		}
	}
	return found
}

func counts(name string) bool {
	return slices.ContainsFunc([]string{"_total", "_count", "_sum", "_bucket"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// grouped are the labels by which a query groups and joins.
func grouped(expr parser.Expr) []string {
	var found []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			found = append(found, node.Grouping...)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				found = append(found, node.VectorMatching.MatchingLabels...)
				found = append(found, node.VectorMatching.Include...)
			}
		}
		return nil
	})
	return found
}
