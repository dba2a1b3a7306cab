// Package scan reads what a stream holds, from one place to another, in order
// and without gaps, however often the broker goes away meanwhile.
//
// It knows streams and sequences; it refuses to know what a message says. It
// owns no goroutine: a scan runs in its caller's loop.
package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// The messages in memory are as many as have come to 4 MiB lately, so at
	// least 10 and at most 500. Where large ones follow on small ones a batch can
	// be 32 MiB of the largest events, or 65 MiB of letters of such.
	batchBytes = 4 << 20
	firstBatch = 100
	leastBatch = 10
	mostBatch  = 500
	// giveUp is how long a scan waits for a broker that does not answer.
	giveUp = 30 * time.Second
	// inactive is when the server forgets the reader of a scan that was killed.
	inactive = time.Minute
)

// Range is what to read. The zero value of a field means no limit.
type Range struct {
	Stream      string
	Subjects    []string // may hold wildcards
	From, To    uint64   // sequences, both included; without To the scan ends where the stream does as it begins
	HeadersOnly bool     // Data stays empty
}

// Message is one message of a stream.
type Message struct {
	Seq     uint64
	Stored  time.Time // by the broker's clock
	Subject string
	Header  nats.Header // nil when it has none
	Data    []byte
}

// Messages yields the messages of r, oldest first. An error is the last thing
// it yields: the stream is missing, the broker was away for half a minute, or
// ctx has ended.
func Messages(ctx context.Context, js jetstream.JetStream, r Range) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		s := &scan{js: js, Range: r, next: max(r.From, 1), batch: firstBatch, spacing: newSpacing()}
		defer s.drop(ctx)
		left := false // by the caller, who hears nothing more, not even that ctx has ended
		hears := func(m Message, err error) bool {
			left = !yield(m, err)
			return !left
		}
		for {
			done, err := s.step(ctx, hears)
			switch {
			case left:
				return
			case ctx.Err() != nil:
				err = context.Cause(ctx)
			case err != nil && s.wait(ctx, err):
				continue
			}
			if err != nil {
				yield(Message{}, fmt.Errorf("stream %s: %w", r.Stream, err))
				return
			}
			if done {
				return
			}
		}
	}
}

// scan is the state of one loop.
type scan struct {
	Range
	js       jetstream.JetStream
	next     uint64 // sequence to go on from
	batch    int    // messages to ask for
	reader   jetstream.Consumer
	received uint64 // messages of this reader, as it counts them
	spacing  backoff.BackOff
	failing  bool // nothing has come since the last error
}

func newSpacing() backoff.BackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(giveUp))
}

// wait pauses before the next try and reports whether there is to be one.
func (s *scan) wait(ctx context.Context, err error) bool {
	s.drop(ctx)
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.Code >= 400 && refused.Code < 500 && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false
	}
	if !s.failing { // its time begins now: a caller may have been busy for long
		s.spacing.Reset()
		s.failing = true
	}
	pause := s.spacing.NextBackOff()
	if pause == backoff.Stop {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// errGap: the reader has handed out messages that did not arrive here.
var errGap = errors.New("messages were lost on their way")

// step reads one batch and reports whether it was the last.
func (s *scan) step(ctx context.Context, yield func(Message, error) bool) (done bool, err error) {
	if err := s.limit(ctx); err != nil {
		return false, err
	}
	if s.next > s.To {
		return true, nil
	}
	if err := s.open(ctx); err != nil {
		return false, err
	}
	fetched, err := s.reader.FetchNoWait(int(min(uint64(s.batch), s.To-s.next+1)))
	if err != nil {
		return false, err
	}
	defer func() {
		for range fetched.Messages() { // who leaves lets the rest come, for the client waits for it
		}
	}()
	came, size := 0, 0
	for message := range fetched.Messages() {
		meta, err := message.Metadata()
		if err != nil {
			return false, err
		}
		if s.received++; meta.Sequence.Consumer != s.received {
			return false, errGap
		}
		if meta.Sequence.Stream > s.To {
			return true, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		came++
		size += len(message.Data()) + HeaderBytes(message.Headers())
		s.failing = false
		s.next = meta.Sequence.Stream + 1
		m := Message{meta.Sequence.Stream, meta.Timestamp, message.Subject(), message.Headers(), message.Data()}
		if !yield(m, nil) {
			return true, nil
		}
	}
	if came > 0 {
		s.batch = min(mostBatch, max(leastBatch, batchBytes*came/max(1, size)))
	}
	if err := fetched.Error(); err != nil || came > 0 {
		return false, err
	}
	// Nothing came. Either there is nothing more, or it got lost.
	info, err := s.reader.Info(ctx)
	switch {
	case err != nil:
		return false, err
	case info.Delivered.Consumer != s.received:
		return false, errGap
	}
	return info.NumPending == 0, nil
}

// limit finds out where to end: who follows what comes meanwhile may never
// catch up with it.
func (s *scan) limit(ctx context.Context) error {
	if s.To > 0 {
		return nil
	}
	stream, err := s.js.Stream(ctx, s.Stream)
	if err != nil {
		return err
	}
	s.To = stream.CachedInfo().State.LastSeq // 0: it never had a message, and nothing is read
	return nil
}

// HeaderBytes is how long the names and values of a header are together.
func HeaderBytes(h nats.Header) int {
	size := 0
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

// open makes a reader that begins at the next message.
func (s *scan) open(ctx context.Context) error {
	if s.reader != nil {
		return nil
	}
	reader, err := s.js.CreateConsumer(ctx, s.Stream, jetstream.ConsumerConfig{
		FilterSubjects: s.Subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.next,
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: s.HeadersOnly, InactiveThreshold: inactive,
		MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return err
	}
	s.reader, s.received = reader, 0
	return nil
}

// drop lets the server forget the reader; one that it does not hear of ends by
// itself.
func (s *scan) drop(ctx context.Context) {
	if s.reader == nil {
		return
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.js.DeleteConsumer(bounded, s.Stream, s.reader.CachedInfo().Name)
	s.reader = nil
}
