package ops

import (
	"runtime"
	"runtime/debug"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Namespace is the prefix of every metric of ours.
const Namespace = "tokenrelay"

// NewRegistry makes a registry with what every process shows: the Go runtime,
// the process and tokenrelay_build_info.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := BuildInfo()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace:   Namespace,
		Name:        "build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "go_version": build.GoVersion},
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

// Build is what is running.
type Build struct {
	Version   string // of the module: v1.2.3, or (devel)
	Revision  string // of the source; empty when unknown; "-dirty" when it was changed
	GoVersion string
}

// BuildInfo reads what the Go tool wrote into the binary.
func BuildInfo() Build {
	build := Build{Version: "(devel)", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build
	}
	if info.Main.Version != "" {
		build.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			build.Revision = setting.Value + build.Revision
		case setting.Key == "vcs.modified" && setting.Value == "true":
			build.Revision += "-dirty"
		}
	}
	return build
}
