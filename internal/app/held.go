package app

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/internal/ops"
)

// Held lists the holds that stand now, of these providers.
func Held(ctx context.Context, js jetstream.JetStream, providers []string) ([]ops.Hold, error) {
	loading, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	board, end, err := watchBoard(ctx, loading, js, newRefusals(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	defer end()
	return readinessHolds(fleet.NewHolds(board, "", fleet.Schedule{}, 0, slog.New(slog.DiscardHandler)), providers), nil
}
