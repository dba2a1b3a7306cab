package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Topology is what an operator wants of streams, consumers and the bucket.
// Zero values mean the defaults; the ...Set fields say which ones somebody
// chose, and only those are ever applied to what exists.
type Topology struct {
	Replicas      int           // STREAM_REPLICAS, of both streams and the bucket
	MaxAge        time.Duration // STREAM_MAX_AGE, over MinMaxAge
	LettersMaxAge time.Duration // DLQ_MAX_AGE

	ReplicasSet, MaxAgeSet, LettersMaxAgeSet bool

	Force     bool     // fewer replicas and shorter ages are applied too
	Provision bool     // NATS_PROVISION: create and change; without it only look
	Providers []string // whose consumers are wanted
}

func (t Topology) withDefaults() Topology {
	if t.Replicas == 0 {
		t.Replicas = DefaultReplicas
	}
	if t.MaxAge == 0 {
		t.MaxAge = DefaultMaxAge
	}
	if t.LettersMaxAge == 0 {
		t.LettersMaxAge = DefaultLettersMaxAge
	}
	return t
}

func (t Topology) validate() error {
	if t.MaxAge <= MinMaxAge {
		return fmt.Errorf("STREAM_MAX_AGE is %s, want more than %s: an event that waits until an hour before it becomes a letter", t.MaxAge, MinMaxAge)
	}
	if t.LettersMaxAge < 0 {
		return fmt.Errorf("DLQ_MAX_AGE is %s, want a positive duration", t.LettersMaxAge)
	}
	if t.Replicas < 1 || t.Replicas > 5 {
		return fmt.Errorf("STREAM_REPLICAS is %d, want 1 to 5", t.Replicas)
	}
	return nil
}

// Ensure creates what is missing and applies what was set explicitly. What it
// kept although a setting says otherwise (fewer replicas, a shorter age,
// without Force) is returned as findings, a line each. Whatever would not work
// is an error, all of them joined, a line each.
//
// Without Provision nothing is created or changed. Any number of pods may call
// it at once.
func Ensure(ctx context.Context, js jetstream.JetStream, t Topology) ([]Finding, error) {
	t = t.withDefaults()
	if err := t.validate(); err != nil {
		return nil, err
	}
	version, err := serverVersion(js)
	if err != nil {
		return nil, err
	}
	if f := versionFinding(version); f != nil {
		return nil, &findingError{*f}
	}
	e := ensuring{js: js, t: t}
	err = e.all(ctx)
	if len(e.broken) > 0 { // passes by nothing but an operator: what else failed does not matter
		return nil, errors.Join(e.broken...)
	}
	if err != nil {
		return nil, notYet(err)
	}
	return e.kept, nil
}

func (e *ensuring) all(ctx context.Context) error {
	t, js := e.t, e.js
	events, err := e.stream(ctx, eventsConfig(t), ageWish{"STREAM_MAX_AGE", t.MaxAge, t.MaxAgeSet}, nil)
	if err != nil {
		return err
	}
	if _, err := e.stream(ctx, lettersConfig(t), ageWish{"DLQ_MAX_AGE", t.LettersMaxAge, t.LettersMaxAgeSet}, nil); err != nil {
		return err
	}
	createBucket := func(ctx context.Context) error {
		_, err := js.CreateKeyValue(ctx, fleetConfig(t))
		return err
	}
	bucket, err := e.stream(ctx, jetstream.StreamConfig{Name: fleetStream, Replicas: t.Replicas}, ageWish{}, createBucket)
	if err != nil {
		return err
	}
	// Without their stream, or the bucket that holds their floor, or with one
	// that is unfit, there is nothing to make and to say of consumers.
	if events != nil && bucket != nil {
		for _, provider := range t.Providers {
			if err := e.consumer(ctx, events, provider); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensuring is one run of Ensure: what it gathers on its way.
type ensuring struct {
	js     jetstream.JetStream
	t      Topology
	kept   []Finding
	broken []error
}

// ageWish is the age limit that was asked of a stream, and by what.
type ageWish struct {
	variable string
	age      time.Duration
	set      bool
}

// stream brings one stream in shape and returns it; nil when it is missing and
// stays so, or is unfit: then nothing of it is changed. The bucket is a stream
// with a creation of its own.
func (e *ensuring) stream(ctx context.Context, want jetstream.StreamConfig, age ageWish, create func(context.Context) error) (jetstream.Stream, error) {
	s, err := e.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !e.t.Provision {
			e.fail(missing(streamName(want.Name)))
			return nil, nil
		}
		if create == nil {
			create = func(ctx context.Context) error {
				_, err := e.js.CreateStream(ctx, want)
				return err
			}
		}
		err = create(ctx)
		// Another pod was faster, with other settings: its stream counts.
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && !errors.Is(err, jetstream.ErrBucketExists) {
			return nil, fmt.Errorf("%s: create: %w", streamName(want.Name), err)
		}
		s, err = e.js.Stream(ctx, want.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", streamName(want.Name), err)
	}
	have := s.CachedInfo().Config
	next, changed, kept := e.t.apply(have, age)
	e.kept = append(e.kept, kept...)
	changed = changed && e.t.Provision
	if !changed {
		next = have
	}
	unfit := false
	for _, f := range streamFindings(next, want, e.t) {
		unfit = unfit || f.Severity == Broken
		e.fail(f)
	}
	if unfit {
		return nil, nil
	}
	if changed {
		if _, err := e.js.UpdateStream(ctx, next); err != nil {
			return nil, fmt.Errorf("%s: change to %d replicas, max age %s, subjects %s: %w", streamName(want.Name), next.Replicas, next.MaxAge, strings.Join(next.Subjects, " "), err)
		}
	}
	return s, nil
}

func (e *ensuring) consumer(ctx context.Context, events jetstream.Stream, provider string) error {
	c, err := events.Consumer(ctx, provider)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if !e.t.Provision {
			e.fail(missing(consumerName(provider)))
			return nil
		}
		c, err = createConsumer(ctx, e.js, events, provider)
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		e.fail(pushFinding(provider))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", consumerName(provider), err)
	}
	for _, f := range consumerFindings(provider, c.CachedInfo()) {
		e.fail(f)
	}
	return nil
}

// fail keeps a finding as an error when nothing would work with it.
func (e *ensuring) fail(f Finding) {
	if f.Severity == Broken {
		e.broken = append(e.broken, &findingError{f})
	}
}

// notYet is what another server of a cluster, or another pod that starts, has
// not done yet: what was made a moment ago is missing when one looks.
func notYet(err error) error {
	if vanished(err) || errors.Is(err, jetstream.ErrConsumerExists) {
		return &notYetError{err}
	}
	return err
}

type notYetError struct{ error }

func (e *notYetError) Unwrap() error { return e.error }

// createConsumer makes a provider's consumer from its floor. When another pod
// was faster, maybe from another floor, the one it made counts.
func createConsumer(ctx context.Context, js jetstream.JetStream, events jetstream.Stream, provider string) (jetstream.Consumer, error) {
	start, err := startFromFloor(ctx, js, events, provider)
	if err != nil {
		return nil, err
	}
	c, err := events.CreateConsumer(ctx, consumerConfig(provider, start))
	if err != nil {
		if other, otherErr := events.Consumer(ctx, provider); otherErr == nil {
			return other, nil
		}
	}
	return c, err
}

// apply is the stream as it should be after what was set explicitly, and
// without subjects that nobody reads; whether
// that changes it, and what was asked for but is only done by force.
func (t Topology) apply(have jetstream.StreamConfig, age ageWish) (next jetstream.StreamConfig, changed bool, kept []Finding) {
	next = have
	name := streamName(have.Name)
	if have.Name == EventsStream {
		next.Subjects = narrowed(have.Subjects)
		changed = !slices.Equal(next.Subjects, have.Subjects)
	}
	keep := func(what, found, wanted string) {
		remedy := "kept; --force changes it"
		if !t.Provision {
			remedy = "kept; NATS_PROVISION is false"
		}
		kept = append(kept, Finding{Warning, name + ": " + what, found, wanted, remedy})
	}
	if t.ReplicasSet && t.Replicas != have.Replicas {
		if t.Provision && (t.Replicas > have.Replicas || t.Force) {
			next.Replicas, changed = t.Replicas, true
		} else {
			keep("replicas", fmt.Sprint(have.Replicas), fmt.Sprintf("%d (STREAM_REPLICAS)", t.Replicas))
		}
	}
	if age.set && age.age != have.MaxAge {
		if t.Provision && (!shorter(age.age, have.MaxAge) || t.Force) {
			next.MaxAge, changed = age.age, true
			if age.age > 0 {
				next.Duplicates = min(have.Duplicates, age.age)
			}
		} else {
			keep("max age", ageText(have.MaxAge), fmt.Sprintf("%s (%s)", ageText(age.age), age.variable))
		}
	}
	return next, changed, kept
}

// shorter compares two age limits, of which 0 is none.
func shorter(a, b time.Duration) bool {
	if a == 0 {
		return false
	}
	return b == 0 || a < b
}

func ageText(age time.Duration) string {
	if age == 0 {
		return "unlimited"
	}
	return age.String()
}

func streamName(name string) string {
	if name == fleetStream {
		return "bucket " + FleetBucket
	}
	return "stream " + name
}

func consumerName(provider string) string {
	return "consumer " + provider + " of " + EventsStream
}
