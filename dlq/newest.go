package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tokenrelay/tokenrelay/internal/scan"
)

// The stream is read backwards in pieces of so many places. Where it is
// sparse they grow; where its letters are large they shrink.
const (
	fairPiece  = 200
	mostPiece  = 20_000
	fewInPiece = 100
	// pieceBytes bounds what is held of a piece, but for its newest letter.
	pieceBytes = 8 << 20
)

// Newest yields the letters of a filter before a place in the stream, newest
// first. It reads the stream from its end, in pieces, so that the
// first page of a million letters costs no more than that of a hundred. It
// holds 8 MiB of letters, and what scan holds.
func (r *Reader) Newest(ctx context.Context, f Filter, before uint64, content Content) iter.Seq2[*Stored, error] {
	return func(yield func(*Stored, error) bool) {
		info, err := r.stream.Info(ctx)
		if err != nil {
			yield(nil, fmt.Errorf("dead-letter stream %s: %w", Stream, err))
			return
		}
		to := min(info.State.LastSeq, max(before, 1)-1)
		places := uint64(fairPiece)
		for to >= info.State.FirstSeq && to > 0 {
			p := piece{from: max(info.State.FirstSeq, to-min(to-1, places-1)), to: to}
			err := r.fill(ctx, &p, f, content)
			if errors.Is(err, errTooMuch) {
				places = max(fairPiece, places/8)
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, l := range slices.Backward(p.letters) {
				if !yield(l, nil) {
					return
				}
			}
			if n := len(p.letters); f.Limit > 0 {
				if f.Limit -= n; f.Limit == 0 {
					return
				}
			}
			to, places = p.from-1, p.next(places)
		}
	}
}

// piece is a part of the stream and the chosen letters there, oldest first.
type piece struct {
	from, to uint64 // both included
	letters  []*Stored
	bytes    int
	cut      bool // at its old end, for its bytes
}

// next is of how many places the next piece is to be.
func (p *piece) next(places uint64) uint64 {
	switch {
	case p.cut:
		return p.to - p.from + 1 // so many had room
	case len(p.letters) < fewInPiece && p.bytes < pieceBytes/2:
		return min(2*places, mostPiece)
	}
	return min(places, fairPiece)
}

// errTooMuch: in a piece that had grown there is more than was expected.
var errTooMuch = errors.New("too much at a time")

// fill reads the letters of a piece: the newest f.Limit of them, and no more
// than may be held. The piece then begins with the oldest that was kept.
func (r *Reader) fill(ctx context.Context, p *piece, f Filter, content Content) error {
	grown, came := p.to-p.from >= fairPiece, 0
	for l, err := range r.between(ctx, f, p.from, p.to, content) {
		if err != nil {
			return err
		}
		if came += l.size(); grown && came > pieceBytes {
			return errTooMuch // or all of it would be read, for a small part
		}
		if f.Limit > 0 && len(p.letters) == f.Limit {
			p.drop() // beyond the limit
		}
		p.letters = append(p.letters, l)
		p.bytes += l.size()
		for p.bytes > pieceBytes && len(p.letters) > 1 {
			p.drop()
			p.cut = true
		}
	}
	if p.cut {
		p.from = p.letters[0].Seq
	}
	return nil
}

func (p *piece) drop() {
	p.bytes -= p.letters[0].size()
	p.letters[0] = nil
	p.letters = p.letters[1:]
}

// size is about how many bytes a letter holds.
func (l *Stored) size() int { return 1<<10 + len(l.Body) + scan.HeaderBytes(l.Header) }
