package keda_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// names is what a cluster's DNS would be: it leads a request for the
// monitoring of a node, by its name, to the port where that is served.
//
// KEDA's client asks the proxy that the environment names, and the environment
// is the process's: so there is one for all tests, and no name of one test is
// another's.
type names struct {
	mu     sync.Mutex
	hosts  map[string]string // by host:port
	routes []string          // an address of a cluster's route, and its name, in turn
}

// set names the monitoring of a server.
func (n *names) set(name, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = addr
}

// setRoute names a route. A server's settings would have the name; but then
// the server would have to find its neighbours by it.
func (n *names) setRoute(name, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes = append(n.routes, addr, name)
}

func (n *names) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	addr, ok := n.hosts[r.URL.Host]
	named := strings.NewReplacer(n.routes...)
	n.mu.Unlock()
	if !ok {
		http.Error(w, "no such host: "+r.URL.Host, http.StatusBadGateway)
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.ModifyResponse = func(response *http.Response) error {
		text, err := io.ReadAll(response.Body)
		response.Body = io.NopCloser(strings.NewReader(named.Replace(string(text))))
		response.ContentLength = -1
		response.Header.Del("Content-Length")
		return err
	}
	r.Header.Set("Accept-Encoding", "identity")
	proxy.ServeHTTP(w, r)
}

var dns = &names{hosts: map[string]string{}}

func TestMain(m *testing.M) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(listener, dns) }()
	_ = os.Setenv("HTTP_PROXY", "http://"+listener.Addr().String())
	os.Exit(m.Run())
}

// startServer runs a server with JetStream and monitoring, and gives it a name
// under which KEDA finds that.
func startServer(t *testing.T, monitoring string, options *server.Options) *server.Server {
	t.Helper()
	options.Host, options.HTTPHost, options.NoSigs, options.NoLog = "127.0.0.1", "127.0.0.1", true, true
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	options.HTTPPort = -1
	options.JetStream, options.StoreDir = true, filepath.Join(t.TempDir(), "jetstream")
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	dns.set(monitoring, s.MonitorAddr().String())
	return s
}

// configured are the options of a server's configuration file.
func configured(t *testing.T, text string) *server.Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// startCluster runs three servers whose monitoring has names below domain, and
// the domain itself leads to the first, as a service leads to any.
func startCluster(t *testing.T, domain string, set func(i int, options *server.Options)) []*server.Server {
	t.Helper()
	var routes []*url.URL
	for i := range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close() // the server takes the port
		routes = append(routes, &url.URL{Scheme: "nats", Host: listener.Addr().String()})
		dns.setRoute(fmt.Sprintf("n%d.%s:6222", i, domain), listener.Addr().String())
	}
	var servers []*server.Server
	for i := range 3 {
		options := &server.Options{ServerName: fmt.Sprintf("n%d", i), Routes: routes}
		options.Cluster = server.ClusterOpts{Name: domain, Host: "127.0.0.1"}
		options.Cluster.Port, _ = strconv.Atoi(routes[i].Port())
		set(i, options)
		servers = append(servers, startServer(t, fmt.Sprintf("n%d.%s:8222", i, domain), options))
	}
	dns.set(domain+":8222", servers[0].MonitorAddr().String())
	return servers
}

// backlog is what is in hand and what waits at a provider of a broker.
type backlog struct {
	js jetstream.JetStream
}

const (
	events = 30
	inHand = 7
)

// newBacklog makes streams and consumers as a worker does, stores events, and
// takes some in hand without settling them.
func newBacklog(t *testing.T, replicas int, urls string, options ...nats.Option) *backlog {
	t.Helper()
	_, js := brokertest.Connect(t, urls, options...)
	topology := consumer.Topology{Replicas: replicas, Provision: true, Providers: []string{"clevertap", "courier"}}
	brokertest.Eventually(t, "the broker takes streams", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := consumer.Ensure(ctx, js, topology)
		return err == nil
	})
	for i := range events {
		if _, err := js.Publish(t.Context(), consumer.EventsSubject, fmt.Appendf(nil, `{"user_id":"u%d"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	courier, err := js.Consumer(t.Context(), consumer.EventsStream, "courier")
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	brokertest.Eventually(t, "events are handed out", func() bool {
		batch, err := courier.Fetch(inHand-taken, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return false
		}
		for range batch.Messages() {
			taken++
		}
		return taken == inHand
	})
	return &backlog{js}
}

// seen is what our own figures say, which are the metric pending_events.
func (b *backlog) seen(t *testing.T, provider string) int {
	t.Helper()
	var backlog consumer.Backlog
	brokertest.Eventually(t, "the broker says what waits", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var err error
		backlog, err = consumer.Pending(ctx, b.js, provider)
		return err == nil
	})
	return backlog.Pending
}

// settle acknowledges an event for a provider, and tells what then waits. A
// consumer's leader may just be gone, and what it was asked with it: so another
// event is tried, and more than one may be settled in the end.
func (b *backlog) settle(t *testing.T, provider string) int {
	t.Helper()
	before := b.seen(t, provider)
	brokertest.Eventually(t, "an event is settled", func() bool {
		c, err := b.js.Consumer(t.Context(), consumer.EventsStream, provider)
		if err != nil {
			return false
		}
		msg, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		return err == nil && msg.DoubleAck(t.Context()) == nil
	})
	after := b.seen(t, provider)
	if after >= before {
		t.Fatalf("%d events wait for %s after one was settled, %d before", after, provider, before)
	}
	return after
}

func clientURLs(servers []*server.Server) string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	return strings.Join(urls, ",")
}
