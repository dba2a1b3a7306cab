package consumer_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// A connection lost right at the start is no old server: the start waits.
func TestEnsureOverALostConnectionPasses(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	lost := b.Conn.StatusChanged(nats.RECONNECTING)
	b.Stop()
	<-lost
	_, err := consumer.Ensure(t.Context(), b.JS, consumer.Topology{Provision: true})
	if err == nil || !consumer.Transient(err) {
		t.Errorf("%v, want an error that passes", err)
	}
}
