package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// lookTime bounds one look into the streams.
const lookTime = 5 * time.Second

// watcher finds out what became of one stored event.
type watcher struct {
	js       jetstream.JetStream
	outcomes *publisher.Outcomes
	ack      publisher.Ack
	out      io.Writer
}

// settled prints a line for each provider: first what they report within the
// time-out, then what the streams tell of the others. The error says that a
// provider did not take the event, or not yet.
func (w *watcher) settled(ctx context.Context, providers []string, timeout time.Duration) error {
	missed := 0
	open := w.heard(ctx, providers, timeout, &missed)
	if ctx.Err() != nil {
		return fmt.Errorf("stopped waiting: %w", context.Cause(ctx))
	}
	for _, provider := range open {
		fate, delivered, err := w.look(ctx, provider)
		if err != nil {
			fate = fmt.Sprintf("no report within %s, and the streams cannot be read: %v", timeout, err)
		}
		if !delivered {
			missed++
		}
		w.line(provider, fate)
	}
	if missed > 0 {
		return fmt.Errorf("not delivered to %d of %d providers", missed, len(providers))
	}
	return nil
}

// heard prints what providers report in time, and returns the others.
func (w *watcher) heard(ctx context.Context, providers []string, timeout time.Duration, missed *int) []string {
	if w.ack.Duplicate { // nobody reports to us what was stored before
		return providers
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	open := slices.Clone(providers)
	// Who has no consumer cannot report.
	absent := slices.DeleteFunc(slices.Clone(providers), func(p string) bool { return !w.absent(ctx, p) })
	for len(open) > len(absent) {
		report, err := w.outcomes.Next(ctx)
		if err != nil {
			break
		}
		i := slices.Index(open, report.Provider)
		if report.StreamSeq != w.ack.Seq || i < 0 {
			continue
		}
		open = slices.Delete(open, i, i+1)
		fate := report.Outcome
		if report.Code != "" {
			fate += ": " + report.Code
		}
		if report.Reason != "" {
			fate += ": " + report.Reason
		}
		if report.Outcome != "delivered" && report.Outcome != "skipped" {
			*missed++
		}
		w.line(report.Provider, fate)
	}
	return open
}

func (w *watcher) line(provider, fate string) {
	_, _ = fmt.Fprintf(w.out, "%s: %s\n", provider, fate)
}

func (w *watcher) absent(ctx context.Context, provider string) bool {
	_, err := w.js.Consumer(ctx, w.ack.Stream, provider)
	return errors.Is(err, jetstream.ErrConsumerNotFound)
}

// look tells from the streams what became of the event at one provider.
func (w *watcher) look(ctx context.Context, provider string) (fate string, delivered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	// The consumer first: what is settled then has put its letter before.
	durable, err := w.js.Consumer(ctx, w.ack.Stream, provider)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return "still waiting: no worker has ever run for this provider (no consumer " + provider + ")", false, nil
	}
	if err != nil {
		return "", false, err
	}
	info := durable.CachedInfo()
	if fate, err = w.letter(ctx, provider); err != nil || fate != "" {
		return fate, false, err
	}
	switch nothing := info.NumPending == 0 && info.NumAckPending == 0; {
	case info.AckFloor.Stream >= w.ack.Seq, nothing && info.Delivered.Stream >= w.ack.Seq:
		return "delivered (settled, and there is no letter)", true, nil
	case info.Delivered.Stream >= w.ack.Seq:
		return "still waiting: a worker has taken it, and not settled it yet or without a report", false, nil
	default:
		return fmt.Sprintf("still waiting: no worker has taken it yet, %d events are unread", info.NumPending), false, nil
	}
}

// letter looks for the event's dead letter; "" when there is none.
func (w *watcher) letter(ctx context.Context, provider string) (string, error) {
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{consumer.LettersSubject + "." + provider + ".>"},
		HeadersOnly:    true,
	}
	// A letter is younger than its event, by the broker's clock.
	if stream, err := w.js.Stream(ctx, w.ack.Stream); err == nil {
		if m, err := stream.GetMsg(ctx, w.ack.Seq); err == nil {
			config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &m.Time
		}
	}
	fate := ""
	err := scan(ctx, w.js, consumer.LettersStream, config, func(m jetstream.Msg) bool {
		h := m.Headers()
		if h.Get("Dlq-Origin-Stream") == w.ack.Stream && h.Get("Dlq-Origin-Seq") == strconv.FormatUint(w.ack.Seq, 10) {
			fate = "dead: " + h.Get("Dlq-Code") + ": " + h.Get("Dlq-Reason")
		}
		return fate == ""
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", nil // no letter was ever put
	}
	return fate, err
}

// scan hands what a stream holds now to each, until that returns false.
func scan(ctx context.Context, js jetstream.JetStream, stream string, config jetstream.OrderedConsumerConfig, each func(jetstream.Msg) bool) error {
	ordered, err := js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return err
	}
	info, err := ordered.Info(ctx)
	if err != nil {
		return err
	}
	if info.NumPending == 0 {
		return nil
	}
	messages, err := ordered.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if !each(m) || meta.NumPending == 0 {
			return nil
		}
	}
}
