package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The server that first knows the prioritized policy.
const minMajor, minMinor = 2, 12

// Drift compares what exists with what is declared and changes nothing. The
// error is about looking (no connection, no rights); what is wrong is in the
// findings, the worst first.
func Drift(ctx context.Context, js jetstream.JetStream, t Topology) ([]Finding, error) {
	t = t.withDefaults()
	var found []Finding
	version, err := serverVersion(js)
	if err != nil {
		return nil, err
	}
	if f := versionFinding(version); f != nil {
		found = append(found, *f)
	}
	for _, want := range []jetstream.StreamConfig{eventsConfig(t), lettersConfig(t), {Name: fleetStream, Replicas: t.Replicas}} {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			found = append(found, missing(streamName(want.Name)))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", streamName(want.Name), err)
		}
		info := s.CachedInfo()
		found = append(found, streamFindings(info.Config, want, t)...)
		found = append(found, clusterFindings(info)...)
		if want.Name != EventsStream {
			continue
		}
		for _, provider := range t.Providers {
			more, err := driftOfConsumer(ctx, s, provider)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return int(a.Severity) - int(b.Severity) })
	return found, nil
}

func driftOfConsumer(ctx context.Context, events jetstream.Stream, provider string) ([]Finding, error) {
	c, err := events.Consumer(ctx, provider)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return []Finding{missing(consumerName(provider))}, nil
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		return []Finding{pushFinding(provider)}, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", consumerName(provider), err)
	}
	return consumerFindings(provider, c.CachedInfo()), nil
}

func missing(what string) Finding {
	return Finding{Broken, what, "missing", "to exist", "the worker creates it at its start, unless NATS_PROVISION is false"}
}

// serverVersion is that of the server we are connected to. A connection that
// was lost has none, which says nothing about the server and passes.
func serverVersion(js jetstream.JetStream) (string, error) {
	version := js.Conn().ConnectedServerVersion()
	if version == "" {
		return "", fmt.Errorf("NATS server version: %w", nats.ErrDisconnected)
	}
	return version, nil
}

// versionFinding is nil for a server that is new enough.
func versionFinding(version string) *Finding {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA == nil && errB == nil && (a > minMajor || a == minMajor && b >= minMinor) {
		return nil
	}
	return &Finding{Broken, "NATS server version", version, fmt.Sprintf("%d.%d or newer", minMajor, minMinor), "older servers have no prioritized consumers"}
}

// streamFindings compares a stream, or the stream under the bucket, with its
// declaration.
func streamFindings(have, want jetstream.StreamConfig, t Topology) []Finding {
	c := comparison{what: streamName(have.Name)}
	c.check(Broken, have.Retention == jetstream.LimitsPolicy, "retention", have.Retention, jetstream.LimitsPolicy, "")
	c.check(Broken, !have.Sealed, "sealed", have.Sealed, false, "")
	c.check(Broken, !have.NoAck, "no_ack", have.NoAck, false, "")
	c.check(Broken, have.Mirror == nil, "mirror", have.Mirror != nil, false, "")
	c.check(Broken, have.SubjectTransform == nil, "subject transform", have.SubjectTransform != nil, false, "")
	c.check(Warning, have.PersistMode == jetstream.DefaultPersistMode, "persist mode", have.PersistMode, jetstream.DefaultPersistMode, "an ack would no longer mean written")
	c.check(Warning, have.Replicas >= want.Replicas, "replicas", have.Replicas, want.Replicas, "")
	c.check(Warning, have.MaxBytes <= 0, "byte limit", have.MaxBytes, "none", "it stays full after everything was delivered")
	c.check(Warning, have.MaxMsgs <= 0, "message limit", have.MaxMsgs, "none", "it stays full after everything was delivered")
	if have.Name == fleetStream {
		// After a restart an empty bucket would look like one in which no
		// permit was ever taken.
		c.check(Broken, have.Storage == jetstream.FileStorage, "storage", have.Storage, jetstream.FileStorage, "")
		c.check(Broken, !have.DiscardNewPerSubject, "discard new per subject", true, false, "it refuses every compare-and-set")
		c.check(Broken, have.MaxAge == 0, "TTL", have.MaxAge, "none", "permits and holds would vanish")
		c.check(Warning, have.MaxMsgsPerSubject == 1, "history", have.MaxMsgsPerSubject, 1, "")
		c.check(Warning, have.AllowDirect, "direct reads", have.AllowDirect, true, "")
		return c.found
	}
	for _, subject := range wantedSubjects(want.Name, t.Providers) {
		c.check(Broken, slices.ContainsFunc(have.Subjects, func(p string) bool { return covers(p, subject) }),
			"subjects", strings.Join(have.Subjects, " "), subject+" among them", "")
	}
	c.check(Warning, have.Storage == jetstream.FileStorage, "storage", have.Storage, jetstream.FileStorage, "a restart loses what waits")
	c.check(Warning, have.Discard == jetstream.DiscardNew || have.MaxBytes <= 0 && have.MaxMsgs <= 0, "discard", have.Discard, jetstream.DiscardNew, "what waits would be dropped")
	c.check(Warning, have.MaxMsgsPerSubject <= 0, "messages a subject", have.MaxMsgsPerSubject, "no limit", "what waits would be dropped")
	c.check(Warning, have.MaxMsgSize == want.MaxMsgSize, "max message size", have.MaxMsgSize, want.MaxMsgSize, "")
	c.check(Warning, have.Duplicates == windowWithin(have.MaxAge), "duplicate window", have.Duplicates, windowWithin(have.MaxAge), "")
	c.check(Note, have.Compression == want.Compression, "compression", have.Compression, want.Compression, "")
	c.check(Warning, !shorter(have.MaxAge, want.MaxAge), "max age", ageText(have.MaxAge), ageText(want.MaxAge), "")
	c.check(Note, !shorter(want.MaxAge, have.MaxAge), "max age", ageText(have.MaxAge), ageText(want.MaxAge), "")
	if have.Name == EventsStream {
		c.check(Warning, !slices.ContainsFunc(have.Subjects, isWide), "subjects", strings.Join(have.Subjects, " "), strings.Join(want.Subjects, " "),
			"nobody reads the others; a worker narrows them at its start, unless NATS_PROVISION is false")
		c.check(Broken, have.MaxAge == 0 || have.MaxAge > MinMaxAge, "max age", have.MaxAge, "more than "+MinMaxAge.String(), "set STREAM_MAX_AGE")
	}
	return c.found
}

func wantedSubjects(stream string, providers []string) []string {
	if stream == LettersStream {
		return []string{LettersSubject + ".*.*"}
	}
	subjects := []string{EventsSubject}
	for _, p := range providers {
		subjects = append(subjects, ProviderSubject(p))
	}
	return subjects
}

// clusterFindings is about where a stream lives.
func clusterFindings(info *jetstream.StreamInfo) []Finding {
	clustered := info.Cluster != nil && info.Cluster.Name != ""
	name := streamName(info.Config.Name)
	switch {
	case clustered && info.Config.Replicas < 3:
		return []Finding{{Warning, name + ": replicas", strconv.Itoa(info.Config.Replicas), "3 in a cluster", "one server's disk is all there is: set STREAM_REPLICAS=3"}}
	case !clustered && info.Config.Name == EventsStream:
		// The server does not tell its clients how it syncs.
		return []Finding{{Note, name + ": sync to disk", "not visible from here", "sync_interval: always on a single server", "by default a power failure loses up to 2 minutes of acknowledged events"}}
	}
	return nil
}

// consumerFindings compares a consumer with its declaration. None of it can be
// put right without an operator: most settings can not be changed in place.
func consumerFindings(provider string, info *jetstream.ConsumerInfo) []Finding {
	have, want := info.Config, consumerConfig(provider, 0)
	c := comparison{what: consumerName(provider)}
	const again = "delete it; it is made again from its floor"
	c.check(Broken, have.AckPolicy == jetstream.AckExplicitPolicy, "ack policy", have.AckPolicy, jetstream.AckExplicitPolicy, again)
	c.check(Broken, slices.Equal(filters(have), filters(want)), "filter", "["+strings.Join(filters(have), " ")+"]", "["+strings.Join(filters(want), " ")+"]", again)
	c.check(Broken, have.PriorityPolicy == want.PriorityPolicy && slices.Equal(have.PriorityGroups, want.PriorityGroups),
		"priority", priorityText(have), priorityText(want), again)
	c.check(Broken, have.MaxDeliver <= 0, "max deliver", have.MaxDeliver, "no limit", "it strands messages: "+again)
	c.check(Broken, !have.HeadersOnly, "headers only", have.HeadersOnly, false, again)
	c.check(Broken, have.MaxRequestBatch == 0 && have.MaxRequestExpires == 0 && have.MaxRequestMaxBytes == 0, "limits of a pull", "set", "none", again)
	c.check(Warning, have.InactiveThreshold == 0, "inactive threshold", have.InactiveThreshold, "none", "the server deletes it when no worker runs")
	c.check(Warning, startsAtAll(have), "deliver policy", have.DeliverPolicy, want.DeliverPolicy, again)
	c.check(Warning, have.AckWait == want.AckWait && len(have.BackOff) == 0, "ack wait", ackWaitText(have), want.AckWait, "")
	c.check(Warning, have.MaxAckPending == want.MaxAckPending, "max ack pending", have.MaxAckPending, want.MaxAckPending, "")
	c.check(Warning, have.MaxWaiting == want.MaxWaiting, "max waiting", have.MaxWaiting, want.MaxWaiting, "can not be changed in place: "+again)
	c.check(Warning, have.ReplayPolicy == want.ReplayPolicy, "replay policy", have.ReplayPolicy, want.ReplayPolicy, "")
	c.check(Warning, have.RateLimit == 0, "rate limit", have.RateLimit, "none", "")
	c.check(Warning, !have.MemoryStorage, "memory storage", have.MemoryStorage, false, "a restart forgets what was acknowledged")
	if info.Paused {
		c.check(Warning, false, "delivery", "paused for "+info.PauseRemaining.Round(time.Second).String(), "running",
			"an operator paused it: nats consumer resume "+EventsStream+" "+provider)
	}
	return c.found
}

func pushFinding(provider string) Finding {
	return Finding{Broken, consumerName(provider), "a push consumer", "a pull consumer", "delete it; it is made again from its floor"}
}

// startsAtAll: one made again from its floor starts at a sequence.
func startsAtAll(c jetstream.ConsumerConfig) bool {
	return c.DeliverPolicy == jetstream.DeliverAllPolicy || c.DeliverPolicy == jetstream.DeliverByStartSequencePolicy
}

func priorityText(c jetstream.ConsumerConfig) string {
	switch c.PriorityPolicy {
	case jetstream.PriorityPolicyPrioritized:
		return "prioritized [" + strings.Join(c.PriorityGroups, " ") + "]"
	case jetstream.PriorityPolicyNone:
		return "none"
	default:
		return "another policy"
	}
}

func ackWaitText(c jetstream.ConsumerConfig) string {
	if len(c.BackOff) > 0 {
		return fmt.Sprintf("%s with a backoff, which replaces it", c.AckWait)
	}
	return c.AckWait.String()
}

// comparison gathers the findings about one thing.
type comparison struct {
	what  string
	found []Finding
}

func (c *comparison) check(s Severity, ok bool, setting string, found, expected any, remedy string) {
	if ok {
		return
	}
	c.found = append(c.found, Finding{s, c.what + ": " + setting, fmt.Sprint(found), fmt.Sprint(expected), remedy})
}

// covers says whether every subject that b stands for is one of a.
func covers(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i, token := range as {
		if token == ">" {
			return len(bs) > i
		}
		if i >= len(bs) || bs[i] == ">" || token != "*" && token != bs[i] {
			return false
		}
	}
	return len(as) == len(bs)
}
