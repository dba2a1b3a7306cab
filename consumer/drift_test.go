package consumer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestDrift(t *testing.T) {
	t.Parallel()
	changeStream := func(name string, change func(*jetstream.StreamConfig)) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			config := streamInfo(t, js, name).Config
			change(&config)
			if _, err := js.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}
	}
	changeConsumer := func(provider string, change func(*jetstream.ConsumerConfig)) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			config := consumerInfo(t, js, provider).Config
			change(&config)
			if _, err := js.UpdateConsumer(t.Context(), "TOKENS", config); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		change   func(*testing.T, jetstream.JetStream)
		severity consumer.Severity
		line     string
	}{
		"letters gone": {
			func(t *testing.T, js jetstream.JetStream) {
				if err := js.DeleteStream(t.Context(), "TOKENS_DLQ"); err != nil {
					t.Fatal(err)
				}
			}, consumer.Broken, "stream TOKENS_DLQ is missing",
		},
		"bucket gone": {
			func(t *testing.T, js jetstream.JetStream) {
				if err := js.DeleteKeyValue(t.Context(), "TOKENS_FLEET"); err != nil {
					t.Fatal(err)
				}
			}, consumer.Broken, "bucket TOKENS_FLEET is missing",
		},
		"consumer gone": {
			func(t *testing.T, js jetstream.JetStream) {
				if err := js.DeleteConsumer(t.Context(), "TOKENS", "courier"); err != nil {
					t.Fatal(err)
				}
			}, consumer.Broken, "consumer courier of TOKENS is missing",
		},
		"consumer paused": {
			func(t *testing.T, js jetstream.JetStream) {
				if _, err := js.PauseConsumer(t.Context(), "TOKENS", "courier", time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}, consumer.Warning, "consumer courier of TOKENS: delivery is paused for 1h0m0s, want running",
		},
		"byte limit":        {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }), consumer.Warning, "stream TOKENS: byte limit is 1048576, want none"},
		"short age":         {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.MaxAge = 2 * time.Hour }), consumer.Warning, "stream TOKENS: max age is 2h0m0s, want 168h0m0s"},
		"long age":          {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.MaxAge = 0 }), consumer.Note, "stream TOKENS: max age is unlimited, want 168h0m0s"},
		"far too short age": {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }), consumer.Broken, "stream TOKENS: max age is 1h0m0s, want more than 1h0m0s"},
		"window":            {changeStream("TOKENS_DLQ", func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }), consumer.Warning, "stream TOKENS_DLQ: duplicate window is 1m0s, want 1h0m0s"},
		"no compression":    {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.Compression = jetstream.NoCompression }), consumer.Note, "stream TOKENS: compression is None, want S2"},
		"message size":      {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 }), consumer.Warning, "stream TOKENS: max message size is -1, want 65536"},
		"no acks":           {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.NoAck = true }), consumer.Broken, "stream TOKENS: no_ack is true, want false"},
		"subject gone":      {changeStream("TOKENS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"tokens.registered"} }), consumer.Broken, "want tokens.registered.courier among them"},
		"a subject too wide": {changeStream("TOKENS", func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"tokens.registered", "tokens.registered.*"}
		}), consumer.Warning, "stream TOKENS: subjects is tokens.registered tokens.registered.*, want tokens.registered tokens.registered.clevertap tokens.registered.courier"},
		"bucket forgets":     {changeStream("KV_TOKENS_FLEET", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }), consumer.Broken, "bucket TOKENS_FLEET: TTL is 1h0m0s, want none"},
		"bucket refuses":     {changeStream("KV_TOKENS_FLEET", func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true }), consumer.Broken, "bucket TOKENS_FLEET: discard new per subject is true"},
		"bucket's history":   {changeStream("KV_TOKENS_FLEET", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 }), consumer.Warning, "bucket TOKENS_FLEET: history is 5, want 1"},
		"filter":             {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.FilterSubjects = []string{"tokens.registered"} }), consumer.Broken, "consumer courier of TOKENS: filter is [tokens.registered], want"},
		"no priority":        {changeConsumer("clevertap", func(c *jetstream.ConsumerConfig) { c.PriorityPolicy, c.PriorityGroups = 0, nil }), consumer.Broken, "consumer clevertap of TOKENS: priority is none, want prioritized [senders]"},
		"max deliver":        {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }), consumer.Broken, "consumer courier of TOKENS: max deliver is 5, want no limit"},
		"ack wait":           {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second }), consumer.Warning, "consumer courier of TOKENS: ack wait is 1s, want 1m0s"},
		"backoff":            {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{time.Second} }), consumer.Warning, "with a backoff, which replaces it, want 1m0s"},
		"max ack pending":    {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 100 }), consumer.Warning, "consumer courier of TOKENS: max ack pending is 100, want 10000"},
		"headers only":       {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }), consumer.Broken, "consumer courier of TOKENS: headers only is true, want false"},
		"pulls limited":      {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 10 }), consumer.Broken, "consumer courier of TOKENS: limits of a pull"},
		"inactive threshold": {changeConsumer("courier", func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }), consumer.Warning, "consumer courier of TOKENS: inactive threshold is 1h0m0s, want none"},
		"one server":         {nil, consumer.Note, "sync_interval: always on a single server"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			topology := provisioned
			topology.Providers = []string{"clevertap", "courier"}
			ensure(t, b.JS, topology.Providers...)
			if c.change != nil {
				c.change(t, b.JS)
			}
			found, err := consumer.Drift(t.Context(), b.JS, topology)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(found, func(f consumer.Finding) bool { return strings.Contains(f.String(), c.line) })
			if i < 0 {
				t.Fatalf("found %q, want %q", found, c.line)
			}
			if found[i].Severity != c.severity {
				t.Errorf("severity %s, want %s", found[i].Severity, c.severity)
			}
			if !slices.IsSortedFunc(found, func(a, b consumer.Finding) int { return int(a.Severity) - int(b.Severity) }) {
				t.Errorf("not the worst first: %q", found)
			}
			// A start refuses what would not work, and only that.
			topology.Provision = false
			if _, err := consumer.Ensure(t.Context(), b.JS, topology); (err != nil) != (c.severity == consumer.Broken) {
				t.Errorf("a start says %v", err)
			}
		})
	}
}

func TestDriftWithoutConnection(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	nc, js := brokertest.Connect(t, b.URL())
	nc.Close()
	if _, err := consumer.Drift(t.Context(), js, consumer.Topology{}); err == nil {
		t.Error("no error")
	}
}
