package boards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// late are the limits of how long events wait: those of the alerts.
func late() []limit { return []limit{{300, "yellow"}, {900, "orange"}, {86400, "red"}} }

func fleet() *dashboard.DashboardBuilder {
	return board("Fleet", uidFleet, "What waits and since when, what is held, what dies, and which alerts say so; of all providers.").
		WithRow(dashboard.NewRowBuilder("What waits, and since when")).
		WithPanel(panel{
			title: "Oldest event waits", unit: units.Seconds, width: 6, limits: late(), section: "events-wait",
			about:   "How long the oldest event has waited for each provider. Yellow from 5 minutes, orange from 15, red from a day. Unknown: no worker can ask the broker.",
			queries: []query{{`max by (provider) (tokenrelay_oldest_pending_seconds{<fleet>})`, "{{provider}}"}},
		}.tile().DataLinks(toProvider())).
		WithPanel(panel{
			title: "Events waiting", unit: units.Short, width: 6, limits: []limit{{10000, "yellow"}, {100000, "orange"}}, section: "events-wait",
			about:   "Events that are not delivered yet, those that a worker has in hand included. How old they are says more than how many they are.",
			queries: []query{{`max by (provider) (tokenrelay_pending_events{<fleet>})`, "{{provider}}"}},
		}.tile().DataLinks(toProvider())).
		WithPanel(panel{
			title: "Held", unit: units.NoUnit, width: 6, section: "a-provider-is-held",
			about:   "A held provider gets one probe at a time; its events wait and none dies. The reason is in the time line below.",
			queries: []query{{`max by (provider) (tokenrelay_provider_held{<fleet>})`, "{{provider}}"}},
		}.tile().Mappings(held()).DataLinks(toProvider())).
		WithPanel(panel{
			title: "Delivered a second", unit: units.EventsPerSecond, width: 6,
			about:   "Events that each provider accepted, over all pods.",
			queries: []query{{`sum by (provider) (rate(tokenrelay_events_total{<fleet>, outcome="delivered"}[$__rate_interval]))`, "{{provider}}"}},
		}.tile().DataLinks(toProvider())).
		WithPanel(panel{
			title: "Died within an hour", unit: units.Short, width: 6, limits: []limit{{1, "yellow"}, {10, "orange"}, {100, "red"}}, section: "events-die",
			about:   "Events that became letters in the last hour. Letters wait for a replay; see Dead letters.",
			queries: []query{{`sum by (provider) (increase(tokenrelay_events_total{<fleet>, outcome="dead"}[1h]))`, "{{provider}}"}},
		}.tile().Decimals(0)).
		WithPanel(panel{
			title: "Workers that answer", unit: units.Short, width: 3, section: "no-worker-answers",
			about:   "Pods whose metrics Prometheus gets.",
			queries: []query{{`count(tokenrelay_build_info{<fleet>})`, "workers"}},
		}.tile()).
		WithPanel(panel{
			title: "In time, last 3 days", unit: units.PercentUnit, width: 3, section: "the-budget-of-late-events",
			about:   "Share of the time in which no event waited for over 5 minutes. The objective is 99 %. Needs the recording rules.",
			queries: []query{{`1 - max by (provider) (avg_over_time(tokenrelay:backlog_late:bool{<fleet>}[3d]))`, "{{provider}}"}},
		}.tile().Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(
			[]dashboard.Threshold{{Color: "red"}, {Value: new(0.99), Color: "green"}}))).
		WithPanel(panel{
			title: "Alerts", unit: units.NoUnit, width: 12,
			about:   "Alerts of tokenrelay that are pending or firing. Each name is explained in the runbook's first table.",
			queries: []query{{`max by (alertname, severity, alertstate, provider, job) (ALERTS{alertname=~"Tokenrelay.+", <fleet>})`, ""}},
		}.list(tileHeight, "", "alertname", "severity", "alertstate", "provider", "job")).
		WithRow(dashboard.NewRowBuilder("Since when")).
		WithPanel(panel{
			title: "How long the oldest event has waited", unit: units.Seconds, width: 12, limits: late()[:2], section: "events-wait",
			about:   "A straight climb: nothing is delivered. A plateau: as much comes as goes. A gap: nobody knew.",
			queries: []query{{`max by (provider) (tokenrelay_oldest_pending_seconds{<fleet>})`, "{{provider}}"}},
		}.lines()).
		WithPanel(panel{
			title: "Holds", unit: units.NoUnit, width: 12, section: "a-provider-is-held",
			about:   "Which provider was held, why, and since when. Unauthorized and misconfigured do not pass by themselves.",
			queries: []query{{`max by (provider, reason) (tokenrelay_provider_held{<fleet>})`, "{{provider}} {{reason}}"}},
		}.timeline()).
		WithPanel(panel{
			title: "Events waiting", unit: units.Short, width: 12, section: "events-wait",
			about:   "Events that are not delivered yet, of the whole fleet.",
			queries: []query{{`max by (provider) (tokenrelay_pending_events{<fleet>})`, "{{provider}}"}},
		}.lines()).
		WithPanel(panel{
			title: "Outcomes a second", unit: units.EventsPerSecond, width: 12,
			about:   "Where events ended: delivered, dead (a letter), skipped (not addressed to that provider), erased (by an operator).",
			queries: []query{{`sum by (provider, outcome) (rate(tokenrelay_events_total{<fleet>}[$__rate_interval]))`, "{{provider}} {{outcome}}"}},
		}.stack()).
		WithRow(dashboard.NewRowBuilder("Pods and broker")).
		WithPanel(panel{
			title: "Permits", unit: units.Short, width: 8, section: "permits-idle",
			about: "CleverTap calls need a permit each. Held permits and open calls of the whole fleet, below the cap; the smallest and the largest cap differ while a deploy changes it.",
			queries: []query{
				{`max(tokenrelay_permits_cap{<fleet>, provider="clevertap"})`, "largest cap"},
				{`min(tokenrelay_permits_cap{<fleet>, provider="clevertap"})`, "smallest cap"},
				{`sum(tokenrelay_permits_held{<fleet>, provider="clevertap"})`, "held"},
				{`sum(tokenrelay_open_calls{<fleet>, provider="clevertap"})`, "open calls"},
			},
		}.lines()).
		WithPanel(panel{
			title: "Connections lost", unit: units.Short, width: 8, section: "the-broker-is-away",
			about:   "How often each pod lost its connection to NATS and made it again, within 5 minutes.",
			queries: []query{{`sum by (instance) (increase(tokenrelay_reconnects_total{<fleet>}[5m]))`, "{{instance}}"}},
		}.lines()).
		WithPanel(panel{
			title: "What runs", unit: units.Short, width: 8,
			about:   "Pods by version. Two versions for longer than a deploy takes: it is stuck.",
			queries: []query{{`count by (version, revision, go_version) (tokenrelay_build_info{<fleet>})`, ""}},
		}.list(graphHeight, "pods", "version", "revision", "go_version"))
}

// toProvider leads from a provider's figure to its dashboard.
func toProvider() []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder("${__field.labels.provider}").Type(dashboard.DashboardLinkTypeLink).
			Url("/d/" + uidProvider + "?var-provider=${__field.labels.provider}&${datasource:queryparam}&${namespace:queryparam}&${job:queryparam}&${__url_time_range}"),
	}
}
