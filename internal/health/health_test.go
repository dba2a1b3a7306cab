package health_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/health"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "it is\n "+r.URL.Path+"\n")
	})
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	addr := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := net.SplitHostPort(addr)

	for _, listens := range []string{addr, ":" + port, "0.0.0.0:" + port, "localhost:" + port} {
		said, err := health.Ask(t.Context(), "http", listens, "/healthz")
		if err != nil || said != "it is /healthz" {
			t.Errorf("%s: %q, %v", listens, said, err)
		}
	}
	if _, err := health.Ask(t.Context(), "http", addr, "/readyz"); err == nil || !strings.HasSuffix(err.Error(), "/readyz: 503 Service Unavailable: it is /readyz") {
		t.Errorf("a status of 503: %v", err)
	}

	// Its certificate is for other names.
	encrypted := httptest.NewTLSServer(answer)
	t.Cleanup(encrypted.Close)
	said, err := health.Ask(t.Context(), "https", strings.Replace(encrypted.Listener.Addr().String(), "127.0.0.1", "localhost", 1), "/healthz")
	if err != nil || said != "it is /healthz" {
		t.Errorf("by https: %q, %v", said, err)
	}
}

func TestAskWhereNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	if _, err := health.Ask(t.Context(), "http", addr, "/healthz"); err == nil || !strings.HasPrefix(err.Error(), "http://"+addr+"/healthz: dial tcp") {
		t.Errorf("nobody listens: %v", err)
	}
}
