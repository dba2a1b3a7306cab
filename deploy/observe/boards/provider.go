package boards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

func provider() *dashboard.DashboardBuilder {
	b := board("Provider", uidProvider, "One provider: what waits for it, whether it is held, how its calls go, and what each pod does.").
		WithVariable(variable("provider", "Provider", `label_values(tokenrelay_events_total{namespace=~"$namespace", job=~"$job"}, provider)`).Current(option("clevertap", "clevertap")))
	return podRow(outcomeRow(callRow(waitRow(b))))
}

func waitRow(b *dashboard.DashboardBuilder) *dashboard.DashboardBuilder {
	return b.WithRow(dashboard.NewRowBuilder("What waits, and since when")).
		WithPanel(panel{
			title: "Oldest event waits", unit: units.Seconds, width: 6, limits: late(), section: "events-wait",
			about:   "How long the oldest event has waited. Yellow from 5 minutes, orange from 15, red from a day. Unknown: no worker can ask the broker.",
			queries: []query{{`max(tokenrelay_oldest_pending_seconds{<one>})`, "oldest"}},
		}.tile()).
		WithPanel(panel{
			title: "Time used up", unit: units.PercentUnit, width: 6, limits: []limit{{0.14, "yellow"}, {0.5, "orange"}, {0.71, "red"}}, section: "events-expired",
			about:   "Share of the stream's max age that the oldest event has waited. An hour before the end it becomes a letter: expired.",
			queries: []query{{`max(tokenrelay_oldest_pending_seconds{<one>}) / max(tokenrelay_events_max_age_seconds{<one>})`, "of the max age"}},
		}.tile()).
		WithPanel(panel{
			title: "Events waiting", unit: units.Short, width: 6, limits: []limit{{10000, "yellow"}, {100000, "orange"}}, section: "events-wait",
			about:   "Events that are not delivered yet, those that a worker has in hand included.",
			queries: []query{{`max(tokenrelay_pending_events{<one>})`, "waiting"}},
		}.tile()).
		WithPanel(panel{
			title: "Delivered a second", unit: units.EventsPerSecond, width: 6,
			about:   "Events that the provider accepted, over all pods.",
			queries: []query{{`sum(rate(tokenrelay_events_total{<one>, outcome="delivered"}[$__rate_interval]))`, "delivered"}},
		}.tile()).
		WithPanel(panel{
			title: "How long the oldest event has waited", unit: units.Seconds, width: 12, limits: late()[:2], section: "events-wait",
			about:   "A straight climb: nothing is delivered. A plateau: as much comes as goes. A gap: nobody knew.",
			queries: []query{{`max(tokenrelay_oldest_pending_seconds{<one>})`, "oldest"}},
		}.lines()).
		WithPanel(panel{
			title: "Held, and why", unit: units.NoUnit, width: 12, section: "a-provider-is-held",
			about:   "Unavailable and throttled pass by themselves. Unauthorized and misconfigured wait for somebody: the log and worker check name the setting.",
			queries: []query{{`max by (reason) (tokenrelay_provider_held{<one>})`, "{{reason}}"}},
		}.timeline())
}

func callRow(b *dashboard.DashboardBuilder) *dashboard.DashboardBuilder {
	return b.WithRow(dashboard.NewRowBuilder("Calls")).
		WithPanel(panel{
			title: "Calls a second by result", unit: units.RequestsPerSecond, width: 12, section: "a-provider-is-held",
			about:   "ok and partial are the provider's usual answers. Throttled, unauthorized, unavailable and misconfigured lead to a hold; refused and ambiguous batches are split.",
			queries: []query{{`sum by (result) (rate(tokenrelay_calls_total{<one>}[$__rate_interval]))`, "{{result}}"}},
		}.stack()).
		WithPanel(panel{
			title: "Duration of a call", unit: units.Seconds, width: 12, limits: []limit{{5, "orange"}, {10, "red"}},
			about: "Half of the calls, 95 and 99 in a hundred are faster than this. HTTP_TIMEOUT is 10 s by default; longer calls mean fewer tokens a second under the same cap.",
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(tokenrelay_call_duration_seconds_bucket{<one>}[$__rate_interval])))`, "half"},
				{`histogram_quantile(0.95, sum by (le) (rate(tokenrelay_call_duration_seconds_bucket{<one>}[$__rate_interval])))`, "95 %"},
				{`histogram_quantile(0.99, sum by (le) (rate(tokenrelay_call_duration_seconds_bucket{<one>}[$__rate_interval])))`, "99 %"},
			},
		}.lines()).
		WithPanel(panel{
			title: "Open calls and permits", unit: units.Short, width: 8, section: "permits-idle",
			about: "Open calls of the fleet, the permits that pods hold for them, and the cap. A provider without a cap needs none.",
			queries: []query{
				{`sum(tokenrelay_open_calls{<one>})`, "open calls"},
				{`sum(tokenrelay_permits_held{<one>})`, "permits held"},
				{`max(tokenrelay_permits_cap{<one>})`, "cap"},
			},
		}.lines()).
		WithPanel(panel{
			title: "Records a call", unit: units.Short, width: 8,
			about: "Tokens in one call, on average and in half of the calls. With a backlog CleverTap's should be near 100.",
			queries: []query{
				{`sum(rate(tokenrelay_batch_records_sum{<one>}[$__rate_interval])) / sum(rate(tokenrelay_batch_records_count{<one>}[$__rate_interval]))`, "average"},
				{`histogram_quantile(0.5, sum by (le) (rate(tokenrelay_batch_records_bucket{<one>}[$__rate_interval])))`, "half"},
			},
		}.lines()).
		WithPanel(panel{
			title: "What made batches go", unit: units.CountsPerSecond, width: 8,
			about:   "count: it was full. age: it had waited long enough. drain: the pod ends. probe: a held provider is tried. split: a refused batch is taken apart.",
			queries: []query{{`sum by (trigger) (rate(tokenrelay_batch_flushes_total{<one>}[$__rate_interval]))`, "{{trigger}}"}},
		}.stack())
}

func outcomeRow(b *dashboard.DashboardBuilder) *dashboard.DashboardBuilder {
	return b.WithRow(dashboard.NewRowBuilder("Outcomes")).
		WithPanel(panel{
			title: "Outcomes a second", unit: units.EventsPerSecond, width: 8,
			about:   "Where events ended: delivered, dead (a letter), skipped (not addressed to it), erased (by an operator).",
			queries: []query{{`sum by (outcome) (rate(tokenrelay_events_total{<one>}[$__rate_interval]))`, "{{outcome}}"}},
		}.stack()).
		WithPanel(panel{
			title: "Died, by code", unit: units.Short, width: 8, section: "events-die",
			about:   "Events that became letters, within 5 minutes. dlq groups says what a code means.",
			queries: []query{{`sum by (code) (increase(tokenrelay_dead_events_total{<one>}[5m]))`, "{{code}}"}},
		}.stack()).
		WithPanel(panel{
			title: "From registration to acceptance", unit: units.Seconds, width: 8, section: "the-budget-of-late-events",
			about: "Of delivered events only. In a hold there are none, and this looks healthy: look at the oldest event instead.",
			queries: []query{
				{`histogram_quantile(0.5, sum by (le, source) (rate(tokenrelay_delivery_latency_seconds_bucket{<one>}[$__rate_interval])))`, "{{source}}, half"},
				{`histogram_quantile(0.99, sum by (le, source) (rate(tokenrelay_delivery_latency_seconds_bucket{<one>}[$__rate_interval])))`, "{{source}}, 99 %"},
			},
		}.lines())
}

func podRow(b *dashboard.DashboardBuilder) *dashboard.DashboardBuilder {
	return b.WithRow(dashboard.NewRowBuilder("Pods")).
		WithPanel(panel{
			title: "Delivered a second, by pod", unit: units.EventsPerSecond, width: 8,
			about:   "A pod without permits delivers nothing to CleverTap, and that is as it should be.",
			queries: []query{{`sum by (instance) (rate(tokenrelay_events_total{<one>, outcome="delivered"}[$__rate_interval]))`, "{{instance}}"}},
		}.stack()).
		WithPanel(panel{
			title: "Permits, by pod", unit: units.Short, width: 8, section: "permits-idle",
			about:   "Who may have how many calls open. A pod keeps its permits while it works and while it waits for events.",
			queries: []query{{`sum by (instance) (tokenrelay_permits_held{<one>})`, "{{instance}}"}},
		}.stack()).
		WithPanel(panel{
			title: "Holds, redeliveries, letters not stored", unit: units.Short, width: 8, section: "letters-cannot-be-stored",
			about: "Within 5 minutes: holds that began, messages that the broker delivered again (a pod that crashed, a connection that was lost), and failed tries to store a letter.",
			queries: []query{
				{`sum by (reason) (increase(tokenrelay_holds_total{<one>}[5m]))`, "held: {{reason}}"},
				{`sum(increase(tokenrelay_redeliveries_total{<one>}[5m]))`, "delivered again"},
				{`sum(increase(tokenrelay_letter_put_failures_total{<one>}[5m]))`, "letters not stored"},
			},
		}.lines())
}
