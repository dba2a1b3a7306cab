package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenrelay/tokenrelay/internal/ops"
)

// pod is a started server and what it is fed by.
type pod struct {
	server    *ops.Server
	readiness *ops.Readiness
	registry  *prometheus.Registry
	connected atomic.Bool
	client    *http.Client
}

func startPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{readiness: &ops.Readiness{}, registry: prometheus.NewRegistry()}
	p.server = ops.NewServer("127.0.0.1:0", p.readiness, p.registry, slog.New(slog.DiscardHandler))
	if err := p.server.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := p.server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *pod) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.server.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// ready asks /readyz and checks that the answer agrees with its status.
func (p *pod) ready(t *testing.T) ops.State {
	t.Helper()
	status, body := p.get(t, "/readyz")
	var state ops.State
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if want := map[bool]int{true: 200, false: 503}[state.Ready]; status != want {
		t.Errorf("status %d of %s", status, body)
	}
	return state
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	p := startPod(t)
	check := func(step, why string) {
		t.Helper()
		state := p.ready(t)
		if got := strings.Join(state.Why, ", "); got != why || state.Ready != (why == "") {
			t.Errorf("%s: ready %t, because %q, want %q", step, state.Ready, got, why)
		}
		if status, body := p.get(t, "/healthz"); status != 200 || body != "ok\n" {
			t.Errorf("%s: /healthz is %d %q", step, status, body)
		}
	}
	check("new", "starting, NATS is away")
	p.readiness.SetNATS(p.connected.Load)
	p.connected.Store(true)
	check("connected", "starting")
	p.readiness.SetStarted()
	check("started", "")
	p.connected.Store(false)
	check("broker away", "NATS is away")
	p.connected.Store(true)
	check("broker back", "")
	p.readiness.SetDraining()
	check("told to stop", "draining")
	p.connected.Store(false)
	check("and closed", "NATS is away, draining")
}

func TestHoldsAreShownOnly(t *testing.T) {
	t.Parallel()
	p := startPod(t)
	if _, body := p.get(t, "/readyz"); !strings.Contains(body, `"holds": []`) {
		t.Errorf("no list of holds in %s", body)
	}
	since := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	hold := ops.Hold{Provider: "clevertap", Reason: "throttled", Since: since, Until: since.Add(time.Minute)}
	p.readiness.SetHolds(func() []ops.Hold { return []ops.Hold{hold} })
	p.readiness.SetNATS(func() bool { return true })
	p.readiness.SetStarted()
	if state := p.ready(t); !state.Ready || len(state.Holds) != 1 || state.Holds[0] != hold {
		t.Errorf("state = %+v", state)
	}
}

func TestMetricsAndNothingElse(t *testing.T) {
	t.Parallel()
	p := startPod(t)
	ops.CountReconnects(p.registry)(nil)
	if status, body := p.get(t, "/metrics"); status != 200 || !strings.Contains(body, "\ntokenrelay_reconnects_total 1\n") {
		t.Errorf("/metrics is %d:\n%s", status, body)
	}
	for _, path := range []string{"/", "/debug/pprof/", "/metrics/"} {
		if status, _ := p.get(t, path); status != http.StatusNotFound {
			t.Errorf("%s is %d", path, status)
		}
	}
	response, err := p.client.Post("http://"+p.server.Addr()+"/healthz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is %d", response.StatusCode)
	}
}

func TestServerStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	server := ops.NewServer(addr, &ops.Readiness{}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	err = server.Start()
	if want := "HTTP_ADDR: " + addr + ": bind: address already in use"; err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Errorf("stopping what never started: %v", err)
	}
}

func TestServerStop(t *testing.T) {
	t.Parallel()
	p := startPod(t)
	p.get(t, "/healthz")
	addr := p.server.Addr()
	for range 2 {
		if err := p.server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("still listens")
	}
	select {
	case err := <-p.server.Failed():
		t.Errorf("failed: %v", err)
	default:
	}
}

// A request that does not end is cut off when the time for an orderly end is over.
func TestServerStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow"}, func() float64 {
		close(reached)
		<-release
		return 0
	}))
	server := ops.NewServer("127.0.0.1:0", &ops.Readiness{}, registry, slog.New(slog.DiscardHandler))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ended := make(chan error, 1)
	go func() {
		response, err := (&http.Client{Transport: transport}).Get("http://" + server.Addr() + "/metrics")
		if err == nil {
			response.Body.Close()
		}
		ended <- err
	}()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
	close(release)
}
