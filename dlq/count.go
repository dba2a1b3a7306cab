package dlq

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Count is how many letters a provider has now; one question, however many
// there are.
func Count(ctx context.Context, js jetstream.JetStream, provider string) (uint64, error) {
	counts, err := CountByCode(ctx, js, provider)
	var sum uint64
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// CountByCode is how many letters a provider has of each code.
func CountByCode(ctx context.Context, js jetstream.JetStream, provider string) (map[string]uint64, error) {
	stream, err := js.Stream(ctx, Stream)
	if err != nil {
		return nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	prefix := Subject(provider, "")
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	counts := map[string]uint64{}
	for subject, n := range info.State.Subjects {
		counts[subject[len(prefix):]] = n
	}
	return counts, nil
}

// ErasedSubject is where whoever erases events of a provider asks one of its
// workers to count them, in a request whose body is their number.
func ErasedSubject(provider string) string { return "tokenrelay.erased." + provider }
