package ops

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Figure is what the broker knows of one provider, of the whole fleet.
type Figure struct {
	Pending       uint64        // events that wait
	Oldest        time.Time     // when the oldest of them was stored; zero when none waits
	MaxAge        time.Duration // after which the stream drops an event; 0: never
	Letters       uint64
	OldestLetter  time.Time     // when the oldest of them was stored; zero when there is none
	LettersMaxAge time.Duration // after which the stream drops a letter; 0: never
}

// Source asks the broker for one provider's figure. It must end with its context.
type Source func(ctx context.Context) (Figure, error)

// FiguresOptions are what Figures needs.
type FiguresOptions struct {
	Sources map[string]Source // by provider
	Every   time.Duration     // between two rounds of questions; 10 s when 0
	Log     *slog.Logger
}

// Figures shows the fleet's figures, the same from every pod. Run asks for
// them; a scrape shows the last answers and never waits. What was never
// answered, or not for six rounds, is NaN: the series exist from the start,
// and nobody takes an old figure for the truth.
type Figures struct {
	options   FiguresOptions
	providers []string // sorted
	gauges    []gauge

	mu   sync.Mutex
	last map[string]answer

	alarmed map[string]bool // only used by Run
}

type answer struct {
	Figure
	at time.Time // zero: never answered
}

// gauge is one of the metrics that a figure is shown as.
type gauge struct {
	desc *prometheus.Desc
	of   func(f Figure, now time.Time) float64
}

func gauges() []gauge {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, []string{"provider"}, nil)
	}
	return []gauge{
		{
			desc("pending_events", "Events of the whole fleet that wait for the provider."),
			func(f Figure, _ time.Time) float64 { return float64(f.Pending) },
		}, {
			desc("oldest_pending_seconds", "Age of the oldest event that waits for the provider."),
			func(f Figure, now time.Time) float64 { return age(f.Oldest, now).Seconds() },
		}, {
			desc("events_max_age_seconds", "Time after which the stream drops an event."),
			func(f Figure, _ time.Time) float64 { return limit(f.MaxAge) },
		}, {
			desc("letters", "Dead letters of the provider."),
			func(f Figure, _ time.Time) float64 { return float64(f.Letters) },
		}, {
			desc("oldest_letter_seconds", "Age of the oldest dead letter of the provider."),
			func(f Figure, now time.Time) float64 { return age(f.OldestLetter, now).Seconds() },
		}, {
			desc("letters_max_age_seconds", "Time after which the stream drops a letter."),
			func(f Figure, _ time.Time) float64 { return limit(f.LettersMaxAge) },
		},
	}
}

// NewFigures makes the collector; register it, and call Run.
func NewFigures(options FiguresOptions) *Figures {
	if options.Every == 0 {
		options.Every = 10 * time.Second
	}
	return &Figures{
		options:   options,
		providers: slices.Sorted(maps.Keys(options.Sources)),
		gauges:    gauges(),
		last:      map[string]answer{},
		alarmed:   map[string]bool{},
	}
}

// Run asks every source now and every round, until ctx is done.
func (f *Figures) Run(ctx context.Context) {
	ticker := time.NewTicker(f.options.Every)
	defer ticker.Stop()
	for {
		for _, provider := range f.providers {
			f.ask(ctx, provider)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (f *Figures) ask(ctx context.Context, provider string) {
	// One source that hangs must not cost the others their round.
	bounded, cancel := context.WithTimeout(ctx, f.options.Every/time.Duration(len(f.providers)+1))
	defer cancel()
	figure, err := f.options.Sources[provider](bounded)
	if err != nil {
		if ctx.Err() == nil {
			f.options.Log.DebugContext(ctx, "no figures", "provider", provider, "error", err)
		}
		return
	}
	now := time.Now()
	f.mu.Lock()
	f.last[provider] = answer{Figure: figure, at: now}
	f.mu.Unlock()
	f.alarm(ctx, provider, age(figure.Oldest, now), figure.MaxAge)
}

// alarm warns once when events have waited for over half of the time that the
// stream keeps them, and again only after they were younger in between.
func (f *Figures) alarm(ctx context.Context, provider string, waited, kept time.Duration) {
	late := kept > 0 && waited > kept/2
	switch {
	case late && !f.alarmed[provider]:
		f.options.Log.WarnContext(ctx, "events have waited for over half of the time that the stream keeps them",
			"provider", provider, "oldest", waited.Round(time.Second), "kept", kept)
	case !late && f.alarmed[provider]:
		f.options.Log.InfoContext(ctx, "events no longer wait too long", "provider", provider, "oldest", waited.Round(time.Second))
	}
	f.alarmed[provider] = late
}

// Describe is prometheus's question before the first scrape.
func (f *Figures) Describe(ch chan<- *prometheus.Desc) {
	for _, gauge := range f.gauges {
		ch <- gauge.desc
	}
}

// Collect is prometheus's question at each scrape.
func (f *Figures) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	last := maps.Clone(f.last)
	f.mu.Unlock()
	now := time.Now()
	for _, provider := range f.providers {
		answer := last[provider]
		known := now.Sub(answer.at) <= 6*f.options.Every
		for _, gauge := range f.gauges {
			value := math.NaN()
			if known {
				value = gauge.of(answer.Figure, now)
			}
			ch <- prometheus.MustNewConstMetric(gauge.desc, prometheus.GaugeValue, value, provider)
		}
	}
}

// limit is infinite where nothing is ever dropped, so that no age comes near it.
func limit(maxAge time.Duration) float64 {
	if maxAge == 0 {
		return math.Inf(1)
	}
	return maxAge.Seconds()
}

// age counts 0 for nothing that is there, and for a server's clock ahead of ours.
func age(oldest, now time.Time) time.Duration {
	if oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(oldest))
}
