package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/providers"
)

// The outcomes of an event at a provider.
const (
	outcomeDelivered = "delivered"
	outcomeDead      = "dead"
	outcomeSkipped   = "skipped"
	outcomeErased    = "erased" // by an operator, while it waited; see countErased
)

// Why a batch was flushed; count, age and drain are the batcher's words.
const (
	triggerProbe = "probe"
	triggerSplit = "split"
)

func triggers() []string { return []string{"count", "age", "drain", triggerProbe, triggerSplit} }

// codes are the letter codes that have a series of their own; every other one
// counts as `other`.
func codes() []string {
	return []string{"530", "531", "532", "533", "534", "535", "555",
		"http_400", "http_404", "http_405", "http_409", "http_410", "http_413", "http_422",
		"http_500", "http_502", "http_503", "http_504",
		codeInvalidEvent, "ambiguous_response", codeInternalError, codeExpired, "unavailable", "other"}
}

// metrics are one provider's, every series made up front so that a rate
// starts at 0.
type metrics struct {
	events     map[string]prometheus.Counter // by outcome
	dead       map[string]prometheus.Counter // by code
	calls      map[providers.Result]prometheus.Counter
	flushes    map[string]prometheus.Counter // by trigger
	holds      map[holdReason]prometheus.Counter
	duration   prometheus.Observer
	records    prometheus.Observer
	live       prometheus.Observer
	replay     prometheus.Observer
	open       prometheus.Gauge
	permits    prometheus.Gauge
	permitsCap prometheus.Gauge
	redelivery prometheus.Counter
	letterFail prometheus.Counter
}

// Metrics are delivery's series for all providers, registered once.
type Metrics struct {
	events, dead, calls, flushes, holds, redeliveries, letterFails *prometheus.CounterVec
	duration, records, latency                                     *prometheus.HistogramVec
	open, permits, permitsCap                                      *prometheus.GaugeVec
}

// NewMetrics registers the series of DESIGN 8 that delivery owns.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tokenrelay", Name: name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "tokenrelay", Name: name, Help: help, Buckets: buckets}, labels)
		reg.MustRegister(v)
		return v
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tokenrelay", Name: name, Help: help}, []string{"provider"})
		reg.MustRegister(v)
		return v
	}
	seconds := []float64{.005, .01, .025, .05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 3600}
	return &Metrics{
		events:       counter("events_total", "Events that ended at a provider, by outcome.", "provider", "outcome"),
		dead:         counter("dead_events_total", "Events that became letters, by code.", "provider", "code"),
		calls:        counter("calls_total", "Calls to a provider, by result.", "provider", "result"),
		flushes:      counter("batch_flushes_total", "Batches sent, by what made them go.", "provider", "trigger"),
		holds:        counter("holds_total", "Holds that this pod began, by reason.", "provider", "reason"),
		redeliveries: counter("redeliveries_total", "Messages that the broker delivered more than once.", "provider"),
		letterFails:  counter("letter_put_failures_total", "Failed tries to store a letter; the event waits.", "provider"),
		duration:     histogram("call_duration_seconds", "How long calls took.", seconds, "provider"),
		records:      histogram("batch_records", "Records a call.", []float64{1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99, 100}, "provider"),
		latency:      histogram("delivery_latency_seconds", "From the registration to the provider's acceptance.", seconds, "provider", "source"),
		open:         gauge("open_calls", "Calls open now."),
		permits:      gauge("permits_held", "Permits that this pod holds."),
		permitsCap:   gauge("permits_cap", "Permits that this pod believes the fleet to have; 0 where none is needed."),
	}
}

func (m *Metrics) of(provider string) *metrics {
	own := &metrics{
		events: map[string]prometheus.Counter{}, dead: map[string]prometheus.Counter{},
		calls: map[providers.Result]prometheus.Counter{}, flushes: map[string]prometheus.Counter{},
		holds:    map[holdReason]prometheus.Counter{},
		duration: m.duration.WithLabelValues(provider), records: m.records.WithLabelValues(provider),
		live: m.latency.WithLabelValues(provider, "live"), replay: m.latency.WithLabelValues(provider, "replay"),
		open: m.open.WithLabelValues(provider), permits: m.permits.WithLabelValues(provider), permitsCap: m.permitsCap.WithLabelValues(provider),
		redelivery: m.redeliveries.WithLabelValues(provider), letterFail: m.letterFails.WithLabelValues(provider),
	}
	for _, outcome := range []string{outcomeDelivered, outcomeDead, outcomeSkipped, outcomeErased} {
		own.events[outcome] = m.events.WithLabelValues(provider, outcome)
	}
	for _, code := range codes() {
		own.dead[code] = m.dead.WithLabelValues(provider, code)
	}
	for _, result := range providers.Results() {
		own.calls[result] = m.calls.WithLabelValues(provider, string(result))
	}
	for _, trigger := range triggers() {
		own.flushes[trigger] = m.flushes.WithLabelValues(provider, trigger)
	}
	for _, reason := range HoldReasons() {
		own.holds[holdReason(reason)] = m.holds.WithLabelValues(provider, reason)
	}
	return own
}

func (m *metrics) died(code string) {
	series, known := m.dead[dlq.Code(code)]
	if !known {
		series = m.dead["other"]
	}
	series.Inc()
	m.events[outcomeDead].Inc()
}

func (m *metrics) accepted(latency time.Duration, replayed bool) {
	m.events[outcomeDelivered].Inc()
	observer := m.live
	if replayed {
		observer = m.replay
	}
	observer.Observe(max(0, latency.Seconds()))
}

// Figures are what a desk ended since it started, by outcome, and what it has
// open and holds now.
type Figures struct {
	Delivered, Dead, Skipped, Erased uint64
	OpenCalls, Permits               int
}

// figures reads the series back, so that nothing is counted twice.
func (m *metrics) figures() Figures {
	return Figures{
		Delivered: uint64(valueOf(m.events[outcomeDelivered])), Dead: uint64(valueOf(m.events[outcomeDead])),
		Skipped: uint64(valueOf(m.events[outcomeSkipped])), Erased: uint64(valueOf(m.events[outcomeErased])),
		OpenCalls: int(valueOf(m.open)), Permits: int(valueOf(m.permits)),
	}
}

// valueOf is 0 for a series that is neither a counter nor a gauge.
func valueOf(series prometheus.Metric) float64 {
	var value dto.Metric
	if series.Write(&value) != nil {
		return 0
	}
	return value.GetCounter().GetValue() + value.GetGauge().GetValue()
}
