package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/rights"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// settle counts a line that is done with, and saves the position when a mark
// says so.
func (im *importer) settle(it item, acked *atomic.Uint64) error {
	switch {
	case it.pending != nil:
		ack, err := it.pending.Wait(context.Background()) // it is done
		switch {
		case errors.Is(err, publisher.ErrTooLarge):
			it.rejected = newReject(it.at.number, nil, &event.Violation{Field: "event", Problem: "larger than the stream takes, headers included"})
		case err != nil:
			return fmt.Errorf("line %d: %w", it.at.number, err)
		case ack.Duplicate:
			im.at.Counts.Duplicates++
		default:
			im.at.Counts.Stored++
		}
		acked.Store(max(acked.Load(), ack.Seq))
	case it.known:
		im.at.Counts.Stored++
	}
	if it.rejected != nil {
		if err := im.rejects.put(it.rejected); err != nil {
			return err
		}
		im.at.Counts.Rejected++
	}
	im.at.Line, im.at.Offset, im.at.Closed = it.at.number, it.at.end, it.closed
	if it.mark == nil {
		return nil
	}
	im.at.Sum, im.at.After, im.at.Done = it.mark.sum, it.mark.after, it.mark.done
	if it.mark.now || im.at.Line-im.saved.Line >= saveLines || time.Since(im.savedAt) >= saveTime {
		return im.save()
	}
	return nil
}

// save writes the progress file. Bad lines come first: what the position
// covers must be somewhere.
func (im *importer) save() error {
	if im.file == nil {
		return nil
	}
	if err := im.rejects.sync(); err != nil {
		return err
	}
	im.at.Rejects = im.rejects.size
	if err := im.at.save(im.settings.Progress); err != nil {
		return fmt.Errorf("progress file: %w", err)
	}
	im.saved, im.savedAt = im.at, time.Now()
	return nil
}

// digest stands for a message id, which may be long.
type digest [16]byte

func digestOf(id string) digest {
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:16])
}

// recover finds out what an earlier run has stored behind its last position.
// The broker would refuse those ids, but only within its duplicate window; the
// stream itself knows for as long as it keeps the messages.
func (im *importer) recover(ctx context.Context) error {
	if im.file == nil {
		return nil
	}
	if im.resumed == nil {
		if stream, err := im.js.Stream(ctx, consumer.EventsStream); err == nil {
			im.at.After = stream.CachedInfo().State.LastSeq
		} // else 0: a later look begins at the start
		return nil
	}
	if im.resumed.Done {
		return nil // nothing was sent behind it
	}
	doubtful, err := im.doubtful()
	if err != nil || len(doubtful) == 0 {
		return err
	}
	looking, end := context.WithCancelCause(ctx)
	defer end(nil)
	im.nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if refused := rights.RefusalOf(err); refused != nil {
			end(refused) // a refused question is never answered
		}
	})
	found, err := im.stored(looking, doubtful)
	if err != nil {
		if refused, ok := errors.AsType[*rights.Refusal](context.Cause(looking)); ok {
			err = refused
		}
		return fmt.Errorf("look for what was stored after line %d: %w", im.at.Line, err)
	}
	im.known = found
	_, _ = fmt.Fprintf(im.std.err, "going on after line %d; %d events after it are stored already\n", im.at.Line, len(found))
	return nil
}

// doubtful lists the ids of the events that may have been sent.
func (im *importer) doubtful() (map[digest]bool, error) {
	// The lines are read twice, so that none is kept.
	ahead := newLines(io.NewSectionReader(im.file, im.lines.offset, im.size-im.lines.offset))
	ahead.number = im.lines.number
	ids := map[digest]bool{}
	for events := 0; events < window; {
		l, err := ahead.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if l.tooLong || l.number == im.header {
			continue
		}
		if m, err := im.read(l.text, l.number); err == nil {
			events++
			ids[digestOf(m.id)] = true
		}
	}
	return ids, nil
}

// stored tells which of the ids the stream holds behind the position.
func (im *importer) stored(ctx context.Context, ids map[digest]bool) (map[digest]bool, error) {
	stream, err := im.js.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return nil, err
	}
	state := stream.CachedInfo().State
	after := im.resumed.After
	if state.LastSeq < after {
		after = 0 // a stream made anew
	}
	if after+1 < state.FirstSeq {
		_, _ = fmt.Fprintf(im.std.err, "the stream has dropped messages up to %d meanwhile: an event among them is published again\n", state.FirstSeq-1)
	}
	found := map[digest]bool{}
	config := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   after + 1,
		HeadersOnly:   true,
	}
	err = scan(ctx, im.js, consumer.EventsStream, config, func(m jetstream.Msg) bool {
		if id := digestOf(m.Headers().Get(jetstream.MsgIDHeader)); ids[id] {
			found[id] = true
		}
		return len(found) < len(ids)
	})
	return found, err
}

// summary prints the books of the import.
func (im *importer) summary(word string) {
	c := im.at.Counts
	text := fmt.Sprintf("%s%d events stored", word, c.Stored)
	if c.Duplicates > 0 {
		text += fmt.Sprintf(", %d duplicates (their ids were stored before)", c.Duplicates)
	}
	text += fmt.Sprintf(", %d bad lines", c.Rejected)
	if c.Rejected > 0 {
		text += " in " + im.settings.Rejects
	}
	text += fmt.Sprintf("; %d lines in all", im.at.Line)
	if !im.began.IsZero() {
		text += ", " + time.Since(im.began).Round(time.Millisecond).String()
	}
	_, _ = fmt.Fprintln(im.std.out, text)
}

// interrupted says where the import stands and how it goes on.
func (im *importer) interrupted(err error) error {
	how := "run the same command again to go on"
	if im.file == nil {
		how = "this input cannot be resumed"
	}
	place := fmt.Errorf("%w after line %d (%d events stored); %s", errStopped, im.at.Line, im.at.Counts.Stored, how)
	if errors.Is(err, errStopped) {
		return place
	}
	return errors.Join(err, place)
}
