package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Unread is an event on a subject that nobody reads.
type Unread struct {
	Subject       string
	Data          []byte
	Headers       nats.Header
	Seq           uint64
	StreamCreated time.Time
}

// EachUnread hands out what the stream holds on subjects that nobody reads: a
// stream made by an older version took such events. It remembers when it came
// to the end; cut off, or by another pod at the same time, the same ones are
// handed out again. The first error of f ends it.
func (c *Consumer) EachUnread(ctx context.Context, f func(Unread) error) error {
	at := c.at.Load()
	kv, err := ask(ctx, c, func(ctx context.Context) (jetstream.KeyValue, error) { return c.js.KeyValue(ctx, FleetBucket) })
	if err != nil {
		return fmt.Errorf("bucket %s: %w", FleetBucket, err)
	}
	done, err := ask(ctx, c, func(ctx context.Context) (floor, error) {
		done, _, err := readFloor(ctx, kv, unreadKey(c.provider))
		return done, err
	})
	if err != nil {
		return err
	}
	info, err := ask(ctx, c, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return at.stream.Info(ctx, jetstream.WithSubjectFilter(EventsSubject+".>"))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", streamName(EventsStream), err)
	}
	for _, subject := range Subjects() {
		delete(info.State.Subjects, subject)
	}
	if len(info.State.Subjects) == 0 { // and nothing to remember
		return nil
	}
	next := done.start(info.Created, info.State.LastSeq)
	for subject := range info.State.Subjects {
		if err := c.eachOf(ctx, at.stream, subject, max(next, 1), f); err != nil {
			return err
		}
	}
	_, err = ask(ctx, c, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, writeFloor(ctx, kv, unreadKey(c.provider), floor{StreamCreated: info.Created, Seq: info.State.LastSeq})
	})
	return err
}

// eachOf hands out the events of one subject.
func (c *Consumer) eachOf(ctx context.Context, stream jetstream.Stream, subject string, seq uint64, f func(Unread) error) error {
	created := stream.CachedInfo().Created
	for ; ; seq++ {
		m, err := ask(ctx, c, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: read %s: %w", streamName(EventsStream), subject, err)
		}
		seq = m.Sequence
		if err := f(Unread{Subject: subject, Data: m.Data, Headers: m.Header, Seq: seq, StreamCreated: created}); err != nil {
			return err
		}
	}
}

// ask bounds one question to JetStream.
func ask[T any](ctx context.Context, c *Consumer, question func(context.Context) (T, error)) (T, error) {
	ctx, cancel := c.question(ctx)
	defer cancel()
	return question(ctx)
}
