package consumer_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// Another pod is faster, and this pod's server has not heard of what it made:
// that passes, and is waited for.
func TestAStartBesideAnotherPasses(t *testing.T) {
	t.Parallel()
	// How often one looks before giving up; the client looks at a bucket, too.
	for late, looks := range map[string]int{
		"STREAM.%.TOKENS": 2, "STREAM.%.TOKENS_DLQ": 2, "STREAM.%.KV_TOKENS_FLEET": 3, "CONSUMER.%.TOKENS.courier": 2,
	} {
		t.Run(late, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			js := lagging(t, b, strings.Replace(late, "%", "CREATE", 1), strings.Replace(late, "%", "INFO", 1), looks)
			topology := consumer.Topology{Provision: true, Providers: []string{"courier"}}
			_, err := consumer.Ensure(t.Context(), js, topology)
			if err == nil || !consumer.Transient(err) {
				t.Fatalf("first try: %v, want an error that passes", err)
			}
			if _, err := consumer.Ensure(t.Context(), js, topology); err != nil {
				t.Errorf("second try: %v", err)
			}
		})
	}
}

// lagging is JetStream by way of this test: what is created exists already, and
// the first looks at it find nothing.
func lagging(t *testing.T, b *brokertest.Broker, create, info string, missing int) jetstream.JetStream {
	t.Helper()
	var mu sync.Mutex
	relay, err := b.Conn.Subscribe("LAG.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		api := strings.TrimPrefix(m.Subject, "LAG.")
		answer, err := b.Conn.Request("$JS.API."+api, m.Data, patience)
		if err != nil {
			t.Error(err)
			return
		}
		ofStream := strings.HasPrefix(api, "STREAM")
		switch {
		case api == create && ofStream:
			answer.Data = []byte(`{"error":{"code":400,"err_code":10058,"description":"stream name already in use"}}`)
		case api == create:
			answer.Data = []byte(`{"error":{"code":400,"err_code":10148,"description":"consumer already exists"}}`)
		case api == info && missing > 0 && ofStream:
			missing--
			answer.Data = []byte(`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`)
		case api == info && missing > 0:
			missing--
			answer.Data = []byte(`{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}`)
		}
		if err := m.RespondMsg(answer); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Unsubscribe() })
	if err := b.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	nc, _ := brokertest.Connect(t, b.URL())
	js, err := jetstream.NewWithAPIPrefix(nc, "LAG")
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Pods that start at once on an empty cluster, each at a server of its own.
func TestManyStartOnAnEmptyCluster(t *testing.T) {
	t.Parallel()
	cluster := brokertest.NewCluster(t)
	topology := consumer.Topology{Provision: true, Replicas: 3, Providers: []string{"clevertap", "courier"}}
	var pods sync.WaitGroup
	for i := range 6 {
		_, js := brokertest.Connect(t, cluster.Nodes[i%3].URL())
		pods.Go(func() {
			for {
				_, err := consumer.Ensure(t.Context(), js, topology)
				if err == nil {
					return
				}
				if !consumer.Transient(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	pods.Wait()
}
