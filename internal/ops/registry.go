package ops

import (
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tokenrelay/tokenrelay/internal/build"
)

// Namespace is the prefix of every metric of ours.
const Namespace = "tokenrelay"

// NewRegistry makes a registry with what every process shows: the Go runtime,
// the process and tokenrelay_build_info.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	running := build.Read()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace:   Namespace,
		Name:        "build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": running.Version, "revision": running.Revision, "go_version": running.GoVersion},
	})
	info.Set(1)
	registry.MustRegister(
		info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// CountReconnects registers tokenrelay_reconnects_total and returns the
// handler that counts, for nats.ReconnectHandler.
func CountReconnects(registry prometheus.Registerer) nats.ConnHandler {
	reconnects := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: Namespace,
		Name:      "reconnects_total",
		Help:      "Times that the connection to NATS was lost and made again.",
	})
	registry.MustRegister(reconnects)
	return func(*nats.Conn) { reconnects.Inc() }
}
