// Package boards makes the Grafana dashboards of deploy/observe/dashboards:
// Fleet, Provider and Dead letters. They are for who is paged: what waits and
// since when comes first, then what is wrong, then why.
//
// It knows the metrics by name and refuses to know whether they exist: the
// tests of deploy/observe execute every query. It owns no goroutine.
package boards

//go:generate go run ../generate ../dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Datasource is the uid of the Prometheus that the dashboards begin with.
const Datasource = "tokenrelay-prometheus"

// Runbook is the page that panels and alerts link to.
const Runbook = "https://github.com/tokenrelay/tokenrelay/blob/main/docs/operations.md"

const (
	uidFleet    = "tokenrelay-fleet"
	uidProvider = "tokenrelay-provider"
	uidLetters  = "tokenrelay-dead-letters"
)

// All are the dashboards as JSON, by the names of their files.
func All() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, builder := range map[string]*dashboard.DashboardBuilder{"fleet.json": fleet(), "provider.json": provider(), "dead-letters.json": letters()} {
		board, err := builder.Build()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		finish(&board)
		if files[name], err = encode(board); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

// finish gives each panel an id, by which Grafana's links find it, and takes the
// links to the other dashboards out of the menu into which the SDK puts them.
func finish(board *dashboard.Dashboard) {
	for i := range board.Panels {
		id := uint32(i + 1)
		if panel := board.Panels[i].Panel; panel != nil {
			panel.Id = &id
		} else {
			board.Panels[i].RowPanel.Id = id
		}
	}
	for i := range board.Links {
		board.Links[i].Placement = nil
	}
}

// encode sorts the keys and leaves < and > as they are, so that a change can
// be read in a diff.
func encode(board dashboard.Dashboard) ([]byte, error) {
	text, err := json.Marshal(board)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(plain)
	return out.Bytes(), err
}

// board is what all three share: the variables, the links, a look at the last
// six hours that renews itself.
func board(title, uid, about string) *dashboard.DashboardBuilder {
	b := dashboard.NewDashboardBuilder("tokenrelay / "+title).
		Uid(uid).Description(about).Tags([]string{"tokenrelay"}).Readonly().
		Time("now-6h", "now").Refresh("30s").Timezone(common.TimeZoneBrowser).Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus").Current(option(Datasource, Datasource))).
		WithVariable(variable("namespace", "Namespace", `label_values(tokenrelay_build_info, namespace)`).IncludeAll(true).AllValue(".*").Current(option("All", "$__all"))).
		WithVariable(variable("job", "Fleet", `label_values(tokenrelay_build_info{namespace=~"$namespace"}, job)`).IncludeAll(true).AllValue(".*").Current(option("All", "$__all")))
	for _, link := range []struct{ title, uid string }{{"Fleet", uidFleet}, {"Provider", uidProvider}, {"Dead letters", uidLetters}} {
		if link.uid != uid {
			b.Link(dashboard.NewDashboardLinkBuilder(link.title).Type(dashboard.DashboardLinkTypeLink).Url("/d/" + link.uid).KeepTime(true).IncludeVars(true))
		}
	}
	return b.Link(dashboard.NewDashboardLinkBuilder("Runbook").Type(dashboard.DashboardLinkTypeLink).Url(Runbook).Icon("doc").TargetBlank(true))
}

// variable asks Prometheus again whenever the time range changes.
func variable(name, label, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source()).
		Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

func option(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: &text}, Value: dashboard.StringOrArrayOfString{String: &value}}
}

func source() common.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}

// promql writes a query's matchers out: <fleet> is the chosen fleet, <one> the
// chosen provider of it.
func promql(expr string) string {
	const fleet = `namespace=~"$namespace", job=~"$job"`
	return strings.NewReplacer("<fleet>", fleet, "<one>", fleet+`, provider="$provider"`).Replace(expr)
}
