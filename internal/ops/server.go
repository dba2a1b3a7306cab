// Package ops is how a pod is watched: its log, its health, its figures and
// the HTTP server that shows them.
//
// It knows how to show and refuses to know what is going on: readiness, holds
// and the fleet's figures are asked of functions that the app hands in.
// A started Server owns one goroutine, which Stop ends; Figures owns none but
// the one that its Run is called in.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server serves /healthz, /readyz and /metrics.
type Server struct {
	http     *http.Server
	addr     string
	listener net.Listener  // set by Start
	done     chan struct{} // closed when serving has ended
	failed   chan error    // at most one error
}

// NewServer makes a server for addr, host:port, which it does not open yet.
func NewServer(addr string, readiness *Readiness, metrics prometheus.Gatherer, log *slog.Logger) *Server {
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.Handle("GET /readyz", readiness)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:            errorLog,
		ErrorHandling:       promhttp.ContinueOnError, // some figures are better than none
		MaxRequestsInFlight: 4,
	}))
	return &Server{
		addr:   addr,
		done:   make(chan struct{}),
		failed: make(chan error, 1),
		http: &http.Server{
			Handler:           mux,
			ErrorLog:          errorLog,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
		},
	}
}

// Start opens the address and serves. Port 0 takes any free port; see Addr.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok { // its text repeats the address
			return fmt.Errorf("HTTP_ADDR: %s: %w", s.addr, op.Err)
		}
		return fmt.Errorf("HTTP_ADDR: %s: %w", s.addr, err)
	}
	s.listener = listener
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("HTTP_ADDR: %s: %w", s.addr, err)
		}
	}()
	return nil
}

// Addr is where a started server listens, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Failed gets an error when serving ends without Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop lets the requests under way end, cuts them off when ctx is done, and
// returns when serving has ended. A server that was never started stops at once.
func (s *Server) Stop(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

// healthz is about the process only: one that answers is healthy. A restart
// would help neither a broker nor a provider that is away.
func healthz(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // who asked may be gone
}
