package boards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panel is what every kind of panel says.
type panel struct {
	title, about string
	unit         string
	section      string // of the runbook; "" for none
	width        uint32 // of 24
	limits       []limit
	queries      []query
}

// query is an expression and how each of its series is called.
type query struct{ expr, name string }

// limit is a value from which on another colour shows.
type limit struct {
	from  float64
	color string
}

const (
	tileHeight  = 5
	graphHeight = 8
)

// tile shows the newest value of each series, large, on its limits' colour.
func (p panel) tile() *stat.PanelBuilder {
	b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Span(p.width).Height(tileHeight).Links(p.links()).
		Thresholds(thresholds(p.limits)).Mappings([]dashboard.ValueMapping{unknown()}).NoValue("no data").
		// The very last value: with "last not null" an unknown one would show as the one before.
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"last"})).
		ColorMode(common.BigValueColorModeBackground).GraphMode(common.BigValueGraphModeNone).TextMode(common.BigValueTextModeValueAndName).
		Orientation(common.VizOrientationAuto).ColorScheme(colors(dashboard.FieldColorModeIdThresholds))
	for i, q := range p.queries {
		b.WithTarget(p.target(i, q).Instant())
	}
	return b
}

// lines shows how values went.
func (p panel) lines() *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Span(p.width).Height(graphHeight).Links(p.links()).Min(0).
		ColorScheme(colors(dashboard.FieldColorModeIdPaletteClassic)).LineWidth(1.5).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(legend()).Tooltip(tooltip()).
		Thresholds(thresholds(p.limits))
	if len(p.limits) > 0 {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	for i, q := range p.queries {
		b.WithTarget(p.target(i, q).Range())
	}
	return b
}

// stack shows what adds up.
func (p panel) stack() *timeseries.PanelBuilder {
	return p.lines().FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
}

// timeline shows since when something is so.
func (p panel) timeline() *statetimeline.PanelBuilder {
	b := statetimeline.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Span(p.width).Height(graphHeight).Links(p.links()).
		Thresholds(thresholds(p.limits)).Mappings(held()).ColorScheme(colors(dashboard.FieldColorModeIdThresholds)).Tooltip(tooltip()).
		MergeValues(true).ShowValue(common.VisibilityModeAuto).RowHeight(0.85).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	for i, q := range p.queries {
		b.WithTarget(p.target(i, q).Range())
	}
	return b
}

// list shows a row a series: these labels, and the value unless its name is "".
func (p panel) list(height uint32, value string, labels ...string) *table.PanelBuilder {
	order := map[string]int{"Value": len(labels)}
	for i, label := range labels {
		order[label] = i
	}
	b := table.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Span(p.width).Height(height).Links(p.links()).Thresholds(thresholds(p.limits)).NoValue("none").
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})). // the SDK's own footer is not valid
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true, "Value": value == ""}, "indexByName": order, "renameByName": map[string]string{"Value": value},
		}})
	for i, q := range p.queries {
		b.WithTarget(p.target(i, q).Instant().Format(prometheus.PromQueryFormatTable))
	}
	return b
}

func (p panel) target(i int, q query) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(promql(q.expr)).LegendFormat(q.name).RefId(string(rune('A' + i))).Datasource(source())
}

func (p panel) links() []cog.Builder[dashboard.DashboardLink] {
	if p.section == "" {
		return nil
	}
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder("What to do").Type(dashboard.DashboardLinkTypeLink).Url(Runbook + "#" + p.section).TargetBlank(true),
	}
}

func legend() *common.VizLegendOptionsBuilder {
	return common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).
		ShowLegend(true).Calcs([]string{"last", "max"})
}

func tooltip() *common.VizTooltipOptionsBuilder {
	return common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)
}

func colors(mode dashboard.FieldColorModeId) *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(mode)
}

// thresholds begin with a base; without limits nothing is good or bad.
func thresholds(limits []limit) *dashboard.ThresholdsConfigBuilder {
	base := "green"
	if len(limits) == 0 {
		base = "blue"
	}
	steps := []dashboard.Threshold{{Color: base}}
	for _, l := range limits {
		steps = append(steps, dashboard.Threshold{Value: &l.from, Color: l.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// unknown shows NaN as what it is: no limit would colour it.
func unknown() dashboard.ValueMapping {
	m := dashboard.NewSpecialValueMap()
	m.Options.Match = dashboard.SpecialValueMatchNullAndNan
	m.Options.Result = shown("unknown", "red")
	return dashboard.ValueMapping{SpecialValueMap: m}
}

func held() []dashboard.ValueMapping {
	m := dashboard.NewValueMap()
	m.Options = map[string]dashboard.ValueMappingResult{"0": shown("not held", "green"), "1": shown("held", "red")}
	return []dashboard.ValueMapping{{ValueMap: m}, unknown()}
}

func shown(text, color string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &text, Color: &color}
}
