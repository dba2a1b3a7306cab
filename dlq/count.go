package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	_, info, err := look(ctx, js, provider)
	if err != nil {
		return nil, err
	}
	return byCode(info, provider), nil
}

// Stock is what a provider has in the dead-letter stream.
type Stock struct {
	Letters uint64
	Oldest  time.Time     // when the oldest of them was stored; zero when there is none
	MaxAge  time.Duration // after which the stream drops them; 0: never
}

// Look is a provider's stock, in three questions.
func Look(ctx context.Context, js jetstream.JetStream, provider string) (Stock, error) {
	stream, info, err := look(ctx, js, provider)
	if err != nil {
		return Stock{}, err
	}
	stock := Stock{MaxAge: info.Config.MaxAge}
	for _, n := range byCode(info, provider) {
		stock.Letters += n
	}
	if stock.Letters == 0 {
		return stock, nil
	}
	oldest, err := stream.GetMsg(ctx, info.State.FirstSeq, jetstream.WithGetMsgSubject(Subject(provider, "*")))
	if errors.Is(err, jetstream.ErrMsgNotFound) { // the last one went meanwhile
		return Stock{MaxAge: stock.MaxAge}, nil
	}
	if err != nil {
		return Stock{}, fmt.Errorf("dead-letter stream %s: oldest letter of %s: %w", Stream, provider, err)
	}
	stock.Oldest = oldest.Time
	return stock, nil
}

func look(ctx context.Context, js jetstream.JetStream, provider string) (jetstream.Stream, *jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, Stream)
	if err != nil {
		return nil, nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(Subject(provider, "*")))
	if err != nil {
		return nil, nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	return stream, info, nil
}

func byCode(info *jetstream.StreamInfo, provider string) map[string]uint64 {
	prefix := Subject(provider, "")
	counts := map[string]uint64{}
	for subject, n := range info.State.Subjects {
		counts[subject[len(prefix):]] = n
	}
	return counts
}

// ErasedSubject is where whoever erases events of a provider asks one of its
// workers to count them, in a request whose body is their number.
func ErasedSubject(provider string) string { return "tokenrelay.erased." + provider }
