package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// natsServer runs a server of this configuration until the test ends.
func natsServer(t *testing.T, configuration string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:-1\n"+configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return s
}

// hub is a server with JetStream, in a domain, that takes leaf nodes. The
// world's own connection is to it.
func (w *world) hub() *server.Server {
	w.t.Helper()
	t := w.t.(*testing.T)
	hub := natsServer(t, fmt.Sprintf("jetstream {store_dir: %q, domain: hub}\nleafnodes {listen: 127.0.0.1:-1}\n", t.TempDir()))
	w.broker = &brokertest.Broker{}
	w.broker.Conn, w.broker.JS = brokertest.Connect(t, "nats://"+hub.Addr().String())
	return hub
}

// leaf is a server that is connected to the hub; the worker connects to it.
func (w *world) leaf(hub *server.Server, configuration string) {
	w.t.Helper()
	leaf := natsServer(w.t.(*testing.T), fmt.Sprintf("leafnodes {remotes: [{url: \"nats-leaf://127.0.0.1:%d\"}]}\n%s", leafPort(hub), configuration))
	eventually(w.t, "the leaf node is connected", func() bool { return leaf.NumLeafNodes() == 1 })
	w.set("NATS_URL=nats://" + leaf.Addr().String())
}

func leafPort(hub *server.Server) int {
	varz, err := hub.Varz(nil)
	if err != nil {
		return 0
	}
	return varz.LeafNode.Port
}

// A worker at a leaf node works on the streams of the hub, with the server
// configuration that docs/deployment.md gives.
func TestWorkerAtALeafNode(t *testing.T) {
	t.Parallel()
	const toTheHub = "default_js_domain: {\"$G\": hub}\n"
	for name, configuration := range map[string]string{
		"the leaf has no JetStream":       toTheHub,
		"the leaf has a JetStream itself": fmt.Sprintf("jetstream: {store_dir: %q, domain: leaf}\n", t.TempDir()) + toTheHub,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.leaf(w.hub(), configuration)
			w.start()
			w.put(registration(1))
			w.settled()
			w.noLetters()
		})
	}
}
