package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/scan"
)

// Reader reads letters, and removes them. It is safe for concurrent use.
type Reader struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

// Open finds the dead-letter stream.
func Open(ctx context.Context, js jetstream.JetStream) (*Reader, error) {
	stream, err := js.Stream(ctx, Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("dead-letter stream %s is missing: no worker has made it yet, or NATS_URL leads to another broker: %w", Stream, err)
	}
	if err != nil {
		return nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	return &Reader{js: js, stream: stream}, nil
}

// Last is the newest letter's place: what a run may meet that begins now.
func (r *Reader) Last(ctx context.Context) (uint64, error) {
	extent, err := r.Extent(ctx)
	return extent.Last, err
}

// Extent is what the stream has: it changes with every letter that comes or
// goes.
type Extent struct {
	Created time.Time // the stream: one made anew counts its places from 1 again
	Last    uint64    // the newest letter's place
	Letters uint64
}

// Extent asks for the extent of now; one question, however many letters there
// are.
func (r *Reader) Extent(ctx context.Context) (Extent, error) {
	info, err := r.stream.Info(ctx)
	if err != nil {
		return Extent{}, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	return Extent{info.Created, info.State.LastSeq, info.State.Msgs}, nil
}

// ErrAnew is of a stream that was deleted and made again: its places count from
// 1, so those that were looked at would be letters that nobody saw.
var ErrAnew = errors.New("the dead-letter stream was made anew since the letters were counted")

// IsOf fails with ErrAnew when the stream is not the one of that extent.
func (r *Reader) IsOf(ctx context.Context, before Extent) error {
	now, err := r.Extent(ctx)
	if err == nil && !now.Created.Equal(before.Created) {
		err = ErrAnew
	}
	return err
}

// Content is how much of each letter is read.
type Content int

// The contents. Whatever a filter needs is read in any case.
const (
	Headers Content = iota // Body stays nil
	Whole
)

// End is the bound of who wants all letters there are. 0, which is Extent.Last
// of a stream that never had a letter, is that of none.
const End uint64 = math.MaxUint64

// Letters yields the letters of a filter up to a place in the stream, oldest
// first. An error is the last thing that it yields.
func (r *Reader) Letters(ctx context.Context, f Filter, through uint64, content Content) iter.Seq2[*Stored, error] {
	return func(yield func(*Stored, error) bool) {
		var from uint64
		if f.Limit > 0 {
			var err error
			if from, through, err = r.window(ctx, f, through); err != nil {
				yield(nil, err)
				return
			}
		}
		if through > 0 { // 0 would be no limit to a scan
			r.between(ctx, f, from, through, content)(yield)
		}
	}
}

// window is where the newest f.Limit letters stand; both are 0 when none does.
func (r *Reader) window(ctx context.Context, f Filter, through uint64) (from, to uint64, err error) {
	for l, err := range r.Newest(ctx, f, min(through, End-1)+1, Headers) {
		if err != nil {
			return 0, 0, err
		}
		from, to = l.Seq, max(to, l.Seq)
	}
	return from, to, nil
}

// between reads from a place to another, both included.
func (r *Reader) between(ctx context.Context, f Filter, from, to uint64, content Content) iter.Seq2[*Stored, error] {
	if to == End {
		to = 0 // a scan knows itself where to end
	}
	area := scan.Range{Stream: Stream, Subjects: []string{f.subject()}, From: from, To: to, HeadersOnly: content == Headers && !f.personal()}
	return func(yield func(*Stored, error) bool) {
		for m, err := range scan.Messages(ctx, r.js, area) {
			if err != nil {
				yield(nil, err)
				return
			}
			if l := read(m); f.Match(l) && !yield(l, nil) {
				return
			}
		}
	}
}

// Get reads the letter at a place. ErrGone: it is not there any more.
func (r *Reader) Get(ctx context.Context, seq uint64) (*Stored, error) {
	m, err := r.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("dead-letter stream %s: letter %d: %w", Stream, seq, err)
	}
	return read(scan.Message{Seq: m.Sequence, Stored: m.Time, Subject: m.Subject, Header: m.Header, Data: m.Data}), nil
}

// ErrGone says that a letter was removed by somebody else.
var ErrGone = errors.New("the letter is not there any more")

// Find reads the letters of an id; one as a rule. There are two after a replay
// that was killed between its two steps. No letter has an empty id.
func (r *Reader) Find(ctx context.Context, id string) ([]*Stored, error) {
	if id == "" { // in a filter it means all of them
		return nil, nil
	}
	if provider, _, _ := strings.Cut(id, ":"); slices.Contains(event.Providers(), provider) {
		found, err := r.find(ctx, Filter{ID: id, Provider: provider}) // fewer letters to look at
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return r.find(ctx, Filter{ID: id}) // whoever publishes may have set it
}

func (r *Reader) find(ctx context.Context, f Filter) ([]*Stored, error) {
	var found []*Stored
	for l, err := range r.Letters(ctx, f, End, Headers) {
		if err != nil {
			return nil, err
		}
		whole, err := r.Get(ctx, l.Seq)
		switch {
		case errors.Is(err, ErrGone):
		case err != nil:
			return nil, err
		default:
			found = append(found, whole)
		}
	}
	return found, nil
}
