package consumer

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The fixed names: apps, operators and other clients write against them.
const (
	EventsStream   = "TOKENS"
	EventsSubject  = "tokens.registered" // events for all providers
	LettersStream  = "TOKENS_DLQ"
	LettersSubject = "tokens.dlq" // a letter's subject goes on: .<provider>.<code>
	FleetBucket    = "TOKENS_FLEET"
	SendersGroup   = "senders" // priority group of a prioritized consumer
)

// prioritizedConsumer is the one whose pulls carry a priority, so that a
// trickle goes to one sender in full batches.
const prioritizedConsumer = "clevertap"

// The fixed settings.
const (
	DefaultReplicas      = 1
	DefaultMaxAge        = 7 * 24 * time.Hour
	DefaultLettersMaxAge = 30 * 24 * time.Hour

	// MinMaxAge is what the events' age limit must be over: an event that
	// waits until an hour before the limit becomes a letter.
	MinMaxAge = time.Hour

	MaxEventSize  = 64 << 10  // bytes, headers included: the original must fit into a letter
	MaxLetterSize = 128 << 10 // bytes

	dedupWindow   = time.Hour // a remembered id costs the server about 270 bytes
	ackWait       = 60 * time.Second
	maxAckPending = 10_000 // over all pods, delayed Naks included
	maxWaiting    = 4096   // pulls at one time; can never be changed in place
)

// Subjects are those that the events' stream takes: exactly the ones that
// somebody reads, since an event on any other would be confirmed and lost. A
// provider that is known to this version has its own, be it served or not.
func Subjects() []string {
	return []string{EventsSubject, ProviderSubject(prioritizedConsumer), ProviderSubject("courier")}
}

// narrowed are a stream's subjects without those wildcards of ours that an older
// version made, and with all that are read. What an operator added stays.
func narrowed(have []string) []string {
	if !slices.ContainsFunc(have, isWide) {
		return have
	}
	next := slices.DeleteFunc(slices.Clone(have), isWide)
	for _, subject := range Subjects() {
		if !slices.ContainsFunc(next, func(p string) bool { return covers(p, subject) }) {
			next = append(next, subject)
		}
	}
	return next
}

// isWide says whether a subject takes events for providers that do not exist.
func isWide(subject string) bool {
	return subject == EventsSubject+".*" || subject == EventsSubject+".>"
}

// ProviderSubject is the subject whose events go to one provider only.
func ProviderSubject(provider string) string { return EventsSubject + "." + provider }

// unreadKey is the key under which stands up to where the stream was searched
// for events on subjects that nobody reads.
func unreadKey(provider string) string { return "unread." + provider }

// FloorKey is the key in the fleet bucket under which a provider's last
// acknowledged position stands.
func FloorKey(provider string) string { return "floor." + provider }

// fleetStream is the stream under the fleet bucket.
const fleetStream = "KV_" + FleetBucket

func eventsConfig(t Topology) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        EventsStream,
		Description: "push tokens registered by apps",
		Subjects:    Subjects(),
		// Not work-queue: an event has several readers. No limit by bytes:
		// with discard new it would stay full after all was delivered.
		Retention:    jetstream.LimitsPolicy,
		Storage:      jetstream.FileStorage,
		Discard:      jetstream.DiscardNew,
		MaxConsumers: -1,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxMsgSize:   MaxEventSize,
		MaxAge:       t.MaxAge,
		Duplicates:   windowWithin(t.MaxAge),
		Replicas:     t.Replicas,
		Compression:  jetstream.S2Compression,
	}
}

func lettersConfig(t Topology) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:         LettersStream,
		Description:  "events a provider did not take, with the reason",
		Subjects:     []string{LettersSubject + ".*.*"},
		Retention:    jetstream.LimitsPolicy,
		Storage:      jetstream.FileStorage,
		Discard:      jetstream.DiscardNew,
		MaxConsumers: -1,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxMsgSize:   MaxLetterSize,
		MaxAge:       t.LettersMaxAge,
		Duplicates:   windowWithin(t.LettersMaxAge),
		Replicas:     t.Replicas,
	}
}

func fleetConfig(t Topology) jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket:      FleetBucket,
		Description: "permits, holds and floors of the fleet",
		History:     1,
		Storage:     jetstream.FileStorage,
		Replicas:    t.Replicas,
	}
}

// consumerConfig is a provider's consumer. With a start of 0 it delivers
// everything the stream holds.
func consumerConfig(provider string, start uint64) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable:        provider,
		FilterSubjects: filterSubjects(provider),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1, // the server's limit loses or strands messages
		MaxAckPending:  maxAckPending,
		MaxWaiting:     maxWaiting,
		ReplayPolicy:   jetstream.ReplayInstantPolicy,
	}
	if start > 0 {
		c.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		c.OptStartSeq = start
	}
	if provider == prioritizedConsumer {
		c.PriorityPolicy = jetstream.PriorityPolicyPrioritized
		c.PriorityGroups = []string{SendersGroup}
	}
	return c
}

func filterSubjects(provider string) []string {
	return []string{EventsSubject, ProviderSubject(provider)}
}

// filters are the subjects of an existing consumer, however they were given.
func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return slices.Sorted(slices.Values(c.FilterSubjects))
}

// windowWithin is the duplicate window of a stream of this age: the server
// refuses one that is longer. An age of 0 is no limit.
func windowWithin(age time.Duration) time.Duration {
	if age > 0 {
		return min(dedupWindow, age)
	}
	return dedupWindow
}
