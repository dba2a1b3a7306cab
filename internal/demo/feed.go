package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// streamPause is how long Feed waits before it looks for the stream again.
const streamPause = 500 * time.Millisecond

// Feed publishes n sample events to a broker elsewhere, rate a second, until ctx
// is done. It waits for the broker and for the stream, which a worker makes. An
// event that the broker does not confirm in time is logged and counted, and the
// next one goes.
func Feed(ctx context.Context, broker config.NATS, n, rate int, out io.Writer, log *slog.Logger) error {
	conn, err := broker.Await(ctx, "tokenrelay demo", log)
	if err != nil {
		return untilStopped(ctx, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if err := awaitStream(ctx, js, log); err != nil {
		return untilStopped(ctx, err)
	}
	events, err := publisher.New(js, publisher.Settings{})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "publishing %d sample events, %d a second\n", n, rate)
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	stored, failed := 0, 0
	for s := range samples(n, rand.Uint64()) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		if err := s.publish(ctx, js, events); err != nil {
			failed++
			log.Warn("a sample event is not confirmed", "err", err)
			continue
		}
		stored++
	}
	_, _ = fmt.Fprintf(out, "%d sample events are stored, %d were not confirmed\n", stored, failed)
	return events.Close(context.WithoutCancel(ctx))
}

// publish sends a sample and waits until it is stored.
func (s sample) publish(ctx context.Context, js jetstream.JetStream, events *publisher.Publisher) error {
	if s.garbage() {
		_, err := js.Publish(ctx, consumer.EventsSubject, s.raw)
		return err
	}
	_, err := events.Publish(ctx, s.event)
	return err
}

func awaitStream(ctx context.Context, js jetstream.JetStream, log *slog.Logger) error {
	for told := false; ; told = true {
		_, err := js.Stream(ctx, consumer.EventsStream)
		if err == nil {
			return nil
		}
		if !told {
			log.Info("waiting for the stream, which a worker makes", "stream", consumer.EventsStream, "err", err)
		}
		select {
		case <-time.After(streamPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// untilStopped makes an end that was asked for no error.
func untilStopped(ctx context.Context, err error) error {
	if errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}
