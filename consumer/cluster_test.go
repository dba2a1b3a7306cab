package consumer_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// A replicated consumer's messages wait for the quorum, the end of their pull
// does not: nothing may be missed between the two, for it would come again
// only after the ack wait, which is longer than this test's patience.
func TestPullsInAClusterMissNothing(t *testing.T) {
	t.Parallel()
	cluster := brokertest.NewCluster(t)
	topology := consumer.Topology{Provision: true, Replicas: 3, Providers: []string{"clevertap"}}
	eventually(t, "the cluster takes streams", func() bool {
		_, err := consumer.Ensure(t.Context(), cluster.JS, topology)
		return err == nil
	})
	follower := cluster.Other(consumerInfo(t, cluster.JS, "clevertap").Cluster.Leader)
	var again atomic.Int32
	c := open(t, follower.URL(), "clevertap", consumer.Options{Topology: topology, Redelivered: func() { again.Add(1) }})

	const events, batch = 2000, 5
	s := newSeen()
	var wg sync.WaitGroup
	var asked atomic.Int32
	for p := range 2 {
		wg.Go(func() {
			for asked.Add(batch) <= events {
				if err := c.PullUpTo(t.Context(), batch, batch*consumer.Largest, p, s.takeAndAck); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishMany(t, cluster.JS, events)
	s.wait(t, events)
	wg.Wait()
	if again.Load() > 0 {
		t.Errorf("%d messages came again", again.Load())
	}
}
