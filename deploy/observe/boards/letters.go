package boards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

func letters() *dashboard.DashboardBuilder {
	return board("Dead letters", uidLetters, "What died lately and with which code, how many letters there are and how old, and what replays bring back.").
		WithRow(dashboard.NewRowBuilder("What died")).
		WithPanel(panel{
			title: "Died within an hour", unit: units.Short, width: 6, limits: []limit{{1, "yellow"}, {10, "orange"}, {100, "red"}}, section: "events-die",
			about:   "Events that became letters in the last hour.",
			queries: []query{{`sum by (provider) (increase(tokenrelay_events_total{<fleet>, outcome="dead"}[1h]))`, "{{provider}}"}},
		}.tile().Decimals(0)).
		WithPanel(panel{
			title: "Share that dies", unit: units.PercentUnit, width: 6, limits: []limit{{0.01, "yellow"}, {0.05, "orange"}, {0.1, "red"}}, section: "events-die",
			about: "Of the events delivered or dead within the last hour. More than one in ten is rarely the users' doing: was an app or a setting changed?",
			queries: []query{{`sum by (provider) (increase(tokenrelay_events_total{<fleet>, outcome="dead"}[1h]))` +
				` / sum by (provider) (increase(tokenrelay_events_total{<fleet>, outcome=~"delivered|dead"}[1h]))`, "{{provider}}"}},
		}.tile()).
		WithPanel(panel{
			title: "Oldest letter", unit: units.Seconds, width: 6, section: "letters-grow-old",
			about:   "How old the oldest letter is; 0 without letters. Unknown: no worker can ask the broker.",
			queries: []query{{`max by (provider) (tokenrelay_oldest_letter_seconds{<fleet>})`, "{{provider}}"}},
		}.tile()).
		WithPanel(panel{
			title: "Its time used up", unit: units.PercentUnit, width: 6, limits: []limit{{0.5, "yellow"}, {0.8, "red"}}, section: "letters-grow-old",
			about:   "Share of the max age that the oldest letter has stood in the stream, which drops it at the end without a word.",
			queries: []query{{`max by (provider) (tokenrelay_oldest_letter_seconds{<fleet>}) / max by (provider) (tokenrelay_letters_max_age_seconds{<fleet>})`, "{{provider}}"}},
		}.tile()).
		WithPanel(panel{
			title: "Died, by code", unit: units.Short, width: 16, section: "events-die",
			about:   "Events that became letters, within 5 minutes. dlq groups says what a code means and what usually helps.",
			queries: []query{{`sum by (provider, code) (increase(tokenrelay_dead_events_total{<fleet>}[5m])) > 0`, "{{provider}} {{code}}"}},
		}.stack()).
		WithPanel(panel{
			title: "Most frequent codes", unit: units.Short, width: 8, section: "events-die",
			about:   "Events that died in the time that the dashboard shows.",
			queries: []query{{`sort_desc(sum by (provider, code) (increase(tokenrelay_dead_events_total{<fleet>}[$__range])) > 0)`, ""}},
		}.list(graphHeight, "died", "provider", "code").Decimals(0)).
		WithRow(dashboard.NewRowBuilder("What stands in the stream")).
		WithPanel(panel{
			title: "Letters", unit: units.Short, width: 12, section: "events-die",
			about:   "Letters in the stream. They fall only when somebody replays, purges or erases them, so a high figure is no news by itself.",
			queries: []query{{`max by (provider) (tokenrelay_letters{<fleet>})`, "{{provider}}"}},
		}.lines()).
		WithPanel(panel{
			title: "Age of the oldest letter", unit: units.Seconds, width: 12, section: "letters-grow-old",
			about:   "It climbs by itself, and falls when the oldest letter was replayed, purged or dropped.",
			queries: []query{{`max by (provider) (tokenrelay_oldest_letter_seconds{<fleet>})`, "{{provider}}"}},
		}.lines()).
		WithRow(dashboard.NewRowBuilder("What comes back, and what goes wrong")).
		WithPanel(panel{
			title: "Replays accepted", unit: units.EventsPerSecond, width: 8, section: "replay-without-fear",
			about:   "Replayed events that a provider accepted, a second.",
			queries: []query{{`sum by (provider) (rate(tokenrelay_delivery_latency_seconds_count{<fleet>, source="replay"}[$__rate_interval]))`, "{{provider}}"}},
		}.lines()).
		WithPanel(panel{
			title: "Expired", unit: units.Short, width: 8, section: "events-expired",
			about:   "Events that waited until the stream would have dropped them, within an hour.",
			queries: []query{{`sum by (provider) (increase(tokenrelay_dead_events_total{<fleet>, code="expired"}[1h]))`, "{{provider}}"}},
		}.lines()).
		WithPanel(panel{
			title: "Letters not stored", unit: units.Short, width: 8, section: "letters-cannot-be-stored",
			about:   "Failed tries to store a letter, within 5 minutes. Its event waits until one succeeds.",
			queries: []query{{`sum by (provider) (increase(tokenrelay_letter_put_failures_total{<fleet>}[5m]))`, "{{provider}}"}},
		}.lines())
}
