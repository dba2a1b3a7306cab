package brokertest

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/broker"
)

// replicas is how many servers a cluster has, and copies its streams.
const replicas = 3

// Cluster is three servers of one test, in this process.
type Cluster struct {
	Nodes []*broker.Broker // named n0, n1, n2
	JS    jetstream.JetStream
}

// NewCluster starts a cluster and returns when it takes streams.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	routes, err := broker.FreePorts(replicas)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{}
	for i := range replicas {
		b, err := broker.Start(broker.Settings{
			Dir: filepath.Join(t.TempDir(), "jetstream"), Name: "n" + strconv.Itoa(i),
			Routes: slices.Concat(routes[i:], routes[:i]),
		})
		if err != nil {
			t.Fatalf("start server %d: %v", i, err)
		}
		t.Cleanup(b.Stop)
		c.Nodes = append(c.Nodes, b)
	}
	_, c.JS = Connect(t, c.Nodes[0].URL())
	Eventually(t, "the cluster has a leader", func() bool {
		_, err := c.JS.AccountInfo(t.Context())
		return err == nil
	})
	return c
}

// Other is a server that is not the named one.
func (c *Cluster) Other(name string) *broker.Broker {
	if name == "n0" {
		return c.Nodes[1]
	}
	return c.Nodes[0]
}
