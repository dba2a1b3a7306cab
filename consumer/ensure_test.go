package consumer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// The fixed declarations, as the server repeats them.
func TestEnsureDeclares(t *testing.T) { //nolint:cyclop // a condition for each field that is declared
	t.Parallel()
	b := brokertest.New(t)
	topology := provisioned
	topology.Providers = []string{"clevertap", "courier"}
	kept, err := consumer.Ensure(t.Context(), b.JS, topology)
	if err != nil || len(kept) != 0 {
		t.Fatalf("findings %v, error %v", kept, err)
	}

	events := streamInfo(t, b.JS, "TOKENS").Config
	letters := streamInfo(t, b.JS, "TOKENS_DLQ").Config
	fleet := streamInfo(t, b.JS, "KV_TOKENS_FLEET").Config
	type settings struct {
		subjects                   string
		retention                  jetstream.RetentionPolicy
		storage                    jetstream.StorageType
		discard                    jetstream.DiscardPolicy
		perSubject                 bool
		maxAge, duplicates         time.Duration
		maxBytes, maxMsgs, history int64
		maxSize                    int32
		replicas                   int
		compression                jetstream.StoreCompression
	}
	of := func(c jetstream.StreamConfig) settings {
		return settings{strings.Join(c.Subjects, " "), c.Retention, c.Storage, c.Discard, c.DiscardNewPerSubject, c.MaxAge, c.Duplicates,
			c.MaxBytes, c.MaxMsgs, c.MaxMsgsPerSubject, c.MaxMsgSize, c.Replicas, c.Compression}
	}
	want := settings{"tokens.registered tokens.registered.clevertap tokens.registered.courier", jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew, false,
		168 * time.Hour, time.Hour, -1, -1, -1, 64 << 10, 1, jetstream.S2Compression}
	if got := of(events); got != want {
		t.Errorf("TOKENS is %+v\nwant %+v", got, want)
	}
	want = settings{"tokens.dlq.*.*", jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew, false,
		720 * time.Hour, time.Hour, -1, -1, -1, 128 << 10, 1, jetstream.NoCompression}
	if got := of(letters); got != want {
		t.Errorf("TOKENS_DLQ is %+v\nwant %+v", got, want)
	}
	if fleet.MaxMsgsPerSubject != 1 || fleet.DiscardNewPerSubject || fleet.MaxAge != 0 || !fleet.AllowDirect || fleet.Storage != jetstream.FileStorage {
		t.Errorf("bucket is %+v", fleet)
	}

	for _, provider := range topology.Providers {
		c := consumerInfo(t, b.JS, provider).Config
		if c.Durable != provider || c.DeliverPolicy != jetstream.DeliverAllPolicy || c.AckPolicy != jetstream.AckExplicitPolicy ||
			c.AckWait != time.Minute || c.MaxDeliver != -1 || c.MaxAckPending != 10_000 || c.MaxWaiting != 4096 || c.Replicas != 0 ||
			c.MemoryStorage || c.InactiveThreshold != 0 || len(c.BackOff) != 0 ||
			!slices.Equal(c.FilterSubjects, []string{"tokens.registered", "tokens.registered." + provider}) {
			t.Errorf("consumer %s is %+v", provider, c)
		}
		prioritized := c.PriorityPolicy == jetstream.PriorityPolicyPrioritized && slices.Equal(c.PriorityGroups, []string{"senders"})
		plain := c.PriorityPolicy == jetstream.PriorityPolicyNone && len(c.PriorityGroups) == 0
		if provider == "clevertap" && !prioritized || provider == "courier" && !plain {
			t.Errorf("consumer %s has policy %v and groups %v", provider, c.PriorityPolicy, c.PriorityGroups)
		}
	}

	// What is as declared is left alone, and nothing drifts.
	kept, err = consumer.Ensure(t.Context(), b.JS, topology)
	if err != nil || len(kept) != 0 {
		t.Errorf("again: findings %v, error %v", kept, err)
	}
	found, err := consumer.Drift(t.Context(), b.JS, topology)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Severity != consumer.Note {
			t.Errorf("drift: %s", f)
		}
	}
}

// What exists changes only where a variable was set, and downwards only by
// force.
func TestEnsureChanges(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	cases := map[string]struct {
		want                consumer.Topology
		age, dlqAge, window time.Duration
		kept                []string
	}{
		"nothing set": {
			want: consumer.Topology{MaxAge: 30 * day, LettersMaxAge: 60 * day},
			age:  7 * day, dlqAge: 30 * day, window: time.Hour,
		},
		"longer": {
			want: consumer.Topology{MaxAge: 30 * day, LettersMaxAge: 60 * day, MaxAgeSet: true, LettersMaxAgeSet: true},
			age:  30 * day, dlqAge: 60 * day, window: time.Hour,
		},
		"shorter": {
			want: consumer.Topology{MaxAge: day, LettersMaxAge: time.Minute, MaxAgeSet: true, LettersMaxAgeSet: true},
			age:  7 * day, dlqAge: 30 * day, window: time.Hour,
			kept: []string{
				"stream TOKENS: max age is 168h0m0s, want 24h0m0s (STREAM_MAX_AGE): kept; --force changes it",
				"stream TOKENS_DLQ: max age is 720h0m0s, want 1m0s (DLQ_MAX_AGE): kept; --force changes it",
			},
		},
		"shorter by force": {
			want: consumer.Topology{MaxAge: day, LettersMaxAge: time.Minute, MaxAgeSet: true, LettersMaxAgeSet: true, Force: true},
			age:  day, dlqAge: time.Minute, window: time.Minute,
		},
		"as many replicas as there are": {
			want: consumer.Topology{Replicas: 1, ReplicasSet: true},
			age:  7 * day, dlqAge: 30 * day, window: time.Hour,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			ensure(t, b.JS, "courier")
			c.want.Provision = true
			kept, err := consumer.Ensure(t.Context(), b.JS, c.want)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, f := range kept {
				lines = append(lines, f.String())
			}
			if !slices.Equal(lines, c.kept) {
				t.Errorf("kept %q, want %q", lines, c.kept)
			}
			if got := streamInfo(t, b.JS, consumer.EventsStream).Config.MaxAge; got != c.age {
				t.Errorf("max age %s, want %s", got, c.age)
			}
			letters := streamInfo(t, b.JS, consumer.LettersStream).Config
			if letters.MaxAge != c.dlqAge || letters.Duplicates != c.window {
				t.Errorf("letters: max age %s, window %s, want %s and %s", letters.MaxAge, letters.Duplicates, c.dlqAge, c.window)
			}
		})
	}
}

// A stream of an older version took events for providers that do not exist. It
// is narrowed; subjects that an operator added stay.
func TestEnsureNarrowsTheSubjects(t *testing.T) {
	t.Parallel()
	const exact = "tokens.registered tokens.registered.clevertap tokens.registered.courier"
	for name, c := range map[string]struct {
		have, provisioned, left string
	}{
		"an older version's": {"tokens.registered tokens.registered.*", exact, "tokens.registered tokens.registered.*"},
		"with another":       {"tokens.registered tokens.registered.> other", "tokens.registered other tokens.registered.clevertap tokens.registered.courier", "tokens.registered tokens.registered.> other"},
		"an operator's":      {"tokens.registered tokens.registered.*.x tokens.registered.courier", "tokens.registered tokens.registered.*.x tokens.registered.courier", "tokens.registered tokens.registered.*.x tokens.registered.courier"},
		"ours":               {exact, exact, exact},
	} {
		for provision, want := range map[bool]string{true: c.provisioned, false: c.left} {
			t.Run(fmt.Sprintf("%s, provision %v", name, provision), func(t *testing.T) {
				t.Parallel()
				b := brokertest.New(t)
				makeStream(t, b.JS, jetstream.StreamConfig{Name: "TOKENS", Subjects: strings.Fields(c.have), MaxAge: 24 * time.Hour})
				_, err := consumer.Ensure(t.Context(), b.JS, consumer.Topology{Provision: provision})
				if provision && err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(streamInfo(t, b.JS, "TOKENS").Config.Subjects, " "); got != want {
					t.Errorf("subjects %s, want %s", got, want)
				}
			})
		}
	}
}

// A stream shorter than the duplicate window can be made.
func TestEnsureShortLettersAge(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	topology := provisioned
	topology.LettersMaxAge = time.Minute
	if _, err := consumer.Ensure(t.Context(), b.JS, topology); err != nil {
		t.Fatal(err)
	}
	if got := streamInfo(t, b.JS, consumer.LettersStream).Config.Duplicates; got != time.Minute {
		t.Errorf("duplicate window %s, want 1m", got)
	}
}

func TestEnsureRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		before func(*testing.T, jetstream.JetStream)
		want   consumer.Topology
		lines  []string // of the error, each in part
	}{
		"all missing and nothing may be made": {
			lines: []string{"stream TOKENS is missing", "stream TOKENS_DLQ is missing", "bucket TOKENS_FLEET is missing"},
		},
		"consumer missing and nothing may be made": {
			before: func(t *testing.T, js jetstream.JetStream) { ensure(t, js) },
			want:   consumer.Topology{Providers: []string{"clevertap", "courier"}},
			lines:  []string{"consumer clevertap of TOKENS is missing", "consumer courier of TOKENS is missing"},
		},
		"work-queue stream on other subjects": {
			before: func(t *testing.T, js jetstream.JetStream) {
				makeStream(t, js, jetstream.StreamConfig{Name: "TOKENS", Subjects: []string{"tokens.*"}, Retention: jetstream.WorkQueuePolicy})
			},
			want: consumer.Topology{Provision: true},
			lines: []string{
				"stream TOKENS: retention is WorkQueue, want Limits",
				"stream TOKENS: subjects is tokens.*, want tokens.registered.courier among them",
			},
		},
		"work-queue stream on the right subjects, two providers": {
			before: func(t *testing.T, js jetstream.JetStream) {
				makeStream(t, js, jetstream.StreamConfig{Name: "TOKENS", Subjects: []string{"tokens.registered", "tokens.registered.*"},
					Retention: jetstream.WorkQueuePolicy, MaxAge: 24 * time.Hour})
			},
			want:  consumer.Topology{Provision: true, Providers: []string{"clevertap", "courier"}, MaxAge: 48 * time.Hour, MaxAgeSet: true},
			lines: []string{"stream TOKENS: retention is WorkQueue, want Limits"},
		},
		"consumer unfit": {
			before: func(t *testing.T, js jetstream.JetStream) {
				ensure(t, js)
				_, err := js.CreateConsumer(t.Context(), "TOKENS", jetstream.ConsumerConfig{Durable: "courier", AckPolicy: jetstream.AckNonePolicy,
					FilterSubject: "tokens.registered"})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: consumer.Topology{Provision: true},
			lines: []string{
				"consumer courier of TOKENS: ack policy is AckNone, want AckExplicit",
				"consumer courier of TOKENS: filter is [tokens.registered], want [tokens.registered tokens.registered.courier]",
			},
		},
		"consumer in a group that nobody asks for": {
			before: func(t *testing.T, js jetstream.JetStream) {
				ensure(t, js)
				_, err := js.CreateConsumer(t.Context(), "TOKENS", jetstream.ConsumerConfig{Durable: "courier", AckPolicy: jetstream.AckExplicitPolicy,
					FilterSubjects: []string{"tokens.registered", "tokens.registered.courier"}, MaxDeliver: 3,
					PriorityPolicy: jetstream.PriorityPolicyPrioritized, PriorityGroups: []string{"x"}})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: consumer.Topology{Provision: true},
			lines: []string{
				"consumer courier of TOKENS: priority is prioritized [x], want none",
				"consumer courier of TOKENS: max deliver is 3, want no limit",
			},
		},
		"push consumer": {
			before: func(t *testing.T, js jetstream.JetStream) {
				ensure(t, js)
				_, err := js.CreatePushConsumer(t.Context(), "TOKENS", jetstream.ConsumerConfig{Durable: "courier", DeliverSubject: "x"})
				if err != nil {
					t.Fatal(err)
				}
			},
			want:  consumer.Topology{Provision: true},
			lines: []string{"consumer courier of TOKENS is a push consumer, want a pull consumer"},
		},
		"events that age too soon": {
			want:  consumer.Topology{Provision: true, MaxAge: time.Hour},
			lines: []string{"STREAM_MAX_AGE is 1h0m0s, want more than 1h0m0s"},
		},
		"replicas": {
			want:  consumer.Topology{Provision: true, Replicas: 9},
			lines: []string{"STREAM_REPLICAS is 9, want 1 to 5"},
		},
		"no cluster for the replicas": {
			before: func(t *testing.T, js jetstream.JetStream) { ensure(t, js) },
			want:   consumer.Topology{Provision: true, Replicas: 3, ReplicasSet: true},
			lines:  []string{"stream TOKENS: change to 3 replicas"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			if c.before != nil {
				c.before(t, b.JS)
			}
			if c.want.Providers == nil {
				c.want.Providers = []string{"courier"}
			}
			_, err := consumer.Ensure(t.Context(), b.JS, c.want)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.lines) {
				t.Errorf("%d lines: %s", len(lines), err)
			}
			for i, want := range c.lines {
				if i < len(lines) && !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
				}
			}
			if consumer.Transient(err) {
				t.Errorf("%v is transient", err)
			}
			if name == "work-queue stream on the right subjects, two providers" {
				left := streamInfo(t, b.JS, consumer.EventsStream)
				if left.State.Consumers != 0 || left.Config.MaxAge != 24*time.Hour || len(left.Config.Subjects) != 2 {
					t.Errorf("something was made of it: %+v", left)
				}
			}
		})
	}
}

func TestEnsureByManyPodsAtOnce(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	var wg sync.WaitGroup
	for range 12 {
		_, js := brokertest.Connect(t, b.URL())
		wg.Go(func() {
			topology := provisioned
			topology.Providers = []string{"clevertap", "courier"}
			if _, err := consumer.Ensure(t.Context(), js, topology); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := streamInfo(t, b.JS, consumer.EventsStream).State.Consumers; n != 2 {
		t.Errorf("%d consumers, want 2", n)
	}
}

func TestTransient(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	nc, js := brokertest.Connect(t, b.URL(), nats.NoReconnect())
	b.Stop()
	eventually(t, "the connection is closed", nc.IsClosed)
	_, err := consumer.Open(t.Context(), js, "courier", consumer.Options{Topology: provisioned})
	if err == nil || consumer.Transient(err) {
		t.Errorf("closed for good: error %v, transient %v", err, consumer.Transient(err))
	}
	for _, err := range []error{nats.ErrTimeout, nats.ErrNoResponders, errors.Join(errors.New("x"), &jetstream.APIError{Code: 503, ErrorCode: 10008})} {
		if !consumer.Transient(err) {
			t.Errorf("%v is not transient", err)
		}
	}
	for _, err := range []error{nil, jetstream.ErrJetStreamNotEnabled, jetstream.ErrStreamNotFound, errors.New("x")} {
		if consumer.Transient(err) {
			t.Errorf("%v is transient", err)
		}
	}
}

func makeStream(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
