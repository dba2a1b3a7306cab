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

// Source asks the broker for one provider's figures of the whole fleet: how
// many events wait, when the oldest of them was stored (zero when none waits)
// and how many letters there are. It must end with its context.
type Source func(ctx context.Context) (pending uint64, oldest time.Time, letters uint64, err error)

// FiguresOptions are what Figures needs.
type FiguresOptions struct {
	Sources map[string]Source // by provider
	MaxAge  time.Duration     // of the events' stream; waiting for over half of it is an alarm
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

	pending, oldest, letters *prometheus.Desc

	mu   sync.Mutex
	last map[string]figure

	alarmed map[string]bool // only used by Run
}

type figure struct {
	pending, letters uint64
	oldest           time.Time
	at               time.Time // zero: never answered
}

// NewFigures makes the collector; register it, and call Run.
func NewFigures(options FiguresOptions) *Figures {
	if options.Every == 0 {
		options.Every = 10 * time.Second
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, []string{"provider"}, nil)
	}
	return &Figures{
		options:   options,
		providers: slices.Sorted(maps.Keys(options.Sources)),
		pending:   desc("pending_events", "Events of the whole fleet that wait for the provider."),
		oldest:    desc("oldest_pending_seconds", "Age of the oldest event that waits for the provider."),
		letters:   desc("letters", "Dead letters of the provider."),
		last:      map[string]figure{},
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
	pending, oldest, letters, err := f.options.Sources[provider](bounded)
	if err != nil {
		if ctx.Err() == nil {
			f.options.Log.DebugContext(ctx, "no figures", "provider", provider, "error", err)
		}
		return
	}
	now := time.Now()
	f.mu.Lock()
	f.last[provider] = figure{pending: pending, oldest: oldest, letters: letters, at: now}
	f.mu.Unlock()
	f.alarm(ctx, provider, age(oldest, now))
}

// alarm warns once when events have waited for over half of the time that the
// stream keeps them, and again only after they were younger in between.
func (f *Figures) alarm(ctx context.Context, provider string, waited time.Duration) {
	late := f.options.MaxAge > 0 && waited > f.options.MaxAge/2
	switch {
	case late && !f.alarmed[provider]:
		f.options.Log.WarnContext(ctx, "events have waited for over half of the time that the stream keeps them",
			"provider", provider, "oldest", waited.Round(time.Second), "kept", f.options.MaxAge)
	case !late && f.alarmed[provider]:
		f.options.Log.InfoContext(ctx, "events no longer wait too long", "provider", provider, "oldest", waited.Round(time.Second))
	}
	f.alarmed[provider] = late
}

// Describe is prometheus's question before the first scrape.
func (f *Figures) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.pending
	ch <- f.oldest
	ch <- f.letters
}

// Collect is prometheus's question at each scrape.
func (f *Figures) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	last := maps.Clone(f.last)
	f.mu.Unlock()
	now := time.Now()
	for _, provider := range f.providers {
		figure := last[provider]
		pending, oldest, letters := math.NaN(), math.NaN(), math.NaN()
		if now.Sub(figure.at) <= 6*f.options.Every {
			pending = float64(figure.pending)
			oldest = age(figure.oldest, now).Seconds()
			letters = float64(figure.letters)
		}
		ch <- prometheus.MustNewConstMetric(f.pending, prometheus.GaugeValue, pending, provider)
		ch <- prometheus.MustNewConstMetric(f.oldest, prometheus.GaugeValue, oldest, provider)
		ch <- prometheus.MustNewConstMetric(f.letters, prometheus.GaugeValue, letters, provider)
	}
}

// age counts 0 for nothing that waits, and for a server's clock ahead of ours.
func age(oldest, now time.Time) time.Duration {
	if oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(oldest))
}
