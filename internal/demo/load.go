package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// baseline is what was there before a load began.
type baseline struct {
	lastSeq uint64
	dead    map[string]map[string]uint64
	sandbox map[string]sandbox.ProviderReport
}

func (w *World) baseline(ctx context.Context) (baseline, error) {
	stream, err := w.JS.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return baseline{}, err
	}
	report := w.Sandbox.Report()
	b := baseline{
		lastSeq: stream.CachedInfo().State.LastSeq, dead: map[string]map[string]uint64{},
		sandbox: map[string]sandbox.ProviderReport{event.CleverTap: report.CleverTap, event.Courier: report.Courier},
	}
	for _, name := range event.Providers() {
		if b.dead[name], err = dlq.CountByCode(ctx, w.JS, name); err != nil {
			return baseline{}, err
		}
	}
	return b, nil
}

// Load publishes n sample events, waits until each is settled at each provider
// and takes the books. Events that wait from an earlier run are settled first.
func (w *World) Load(ctx context.Context, n int, progress io.Writer, terminal bool) (Books, error) {
	show := newProgress(progress, terminal, n*len(event.Providers()))
	if err := w.settled(ctx, nil); err != nil {
		return Books{}, err
	}
	before, err := w.baseline(ctx)
	if err != nil {
		return Books{}, err
	}
	began := time.Now()
	published := make(chan error, 1)
	go func() { published <- w.publish(ctx, n) }()
	err = w.settled(ctx, func(waiting int) (more bool, err error) {
		select {
		case err := <-published:
			if err != nil {
				return false, err
			}
			published = nil
		default:
		}
		stream, err := w.JS.Stream(ctx, consumer.EventsStream)
		if err != nil {
			return false, err
		}
		stored := int(stream.CachedInfo().State.LastSeq - before.lastSeq)
		show.update(w.Sandbox.Report(), before, stored, waiting)
		return stored < n, nil
	})
	took := time.Since(began)
	show.end()
	if err != nil {
		return Books{}, err
	}
	return w.count(ctx, before, took)
}

// settled waits until no event waits and look, asked each time, expects no more.
func (w *World) settled(ctx context.Context, look func(waiting int) (more bool, err error)) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	complete := look == nil // before the counts were taken
	for {
		newest, err := w.newest(ctx)
		if err != nil {
			return err
		}
		waiting := 0
		for _, name := range event.Providers() {
			n, err := w.waiting(ctx, name, newest)
			if err != nil {
				return err
			}
			waiting += n
		}
		more := false
		if look != nil {
			if more, err = look(waiting); err != nil {
				return err
			}
		}
		if waiting == 0 && complete {
			return nil
		}
		complete = !more
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// newest is the place of the last event for both providers, 0 when there is none.
func (w *World) newest(ctx context.Context) (uint64, error) {
	stream, err := w.JS.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return 0, err
	}
	message, err := stream.GetLastMsgForSubject(ctx, consumer.EventsSubject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return message.Sequence, nil
}

// waiting counts what a provider has not settled. A consumer learns of an event
// a little after it is stored: until it has handed out the newest, one waits.
func (w *World) waiting(ctx context.Context, provider string, newest uint64) (int, error) {
	cons, err := w.JS.Consumer(ctx, consumer.EventsStream, provider)
	if err != nil {
		return 0, fmt.Errorf("consumer %s: %w", provider, err)
	}
	info := cons.CachedInfo()
	waiting := int(info.NumPending) + info.NumAckPending
	if waiting == 0 && info.Delivered.Stream < newest {
		return 1, nil
	}
	return waiting, nil
}

// publish sends the load: events as an app would, garbage past our publisher,
// which would refuse it.
func (w *World) publish(ctx context.Context, n int) error {
	events, err := publisher.New(w.JS, publisher.Settings{MaxPending: 256})
	if err != nil {
		return err
	}
	var failed error
	var pending []*publisher.Pending
	for s := range samples(n, 1) {
		if s.garbage() {
			_, err := w.JS.Publish(ctx, consumer.EventsSubject, s.raw)
			failed = errors.Join(failed, err)
			continue
		}
		sent, err := events.PublishAsync(ctx, s.event)
		if err != nil {
			failed = errors.Join(failed, err)
			break
		}
		pending = append(pending, sent)
	}
	for _, sent := range pending {
		_, err := sent.Wait(ctx)
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, events.Close(ctx))
}
