package fleet

import (
	"context"
	"errors"
	"time"
)

// nobody stands as holder in a record that was put where there was none:
// whoever had one there may still go by it, for a lease at most.
const nobody = "nobody (there was no record)"

// A permit is only ever taken from a record that stands, by its revision. A
// pod's view cannot tell a permit that was never held from one that was taken
// and purged a moment ago: the purge swallows what the watch had yet to bring.
// So absent records are put in place first, and how depends on what the server
// can prove.

// found puts the fleet's first records, free ones, into a bucket that never
// held anything: each must be the next write of all to the bucket. They are
// kept from the other pods until the last one stands, since a taking would
// come between. Where another pod was first, nothing is written.
func (p *Permits) found(ctx context.Context) error {
	revisions := make([]uint64, 0, p.Cap)
	var last uint64
	for number := range p.Cap {
		revision, err := p.Board.write(ctx, permitKey(p.Provider, number),
			PermitRecord{Since: time.Now().UTC(), Reserved: p.Self}, nothingSince(last))
		if s, refused := errors.AsType[*stale](err); refused {
			own, present := decodePermit(s.standing)
			if !present || own.Reserved != p.Self || s.standing.revision != last+1 {
				break // whatever is missing now waits as if it had vanished
			}
			revision, err = s.standing.revision, nil // only the answer was lost
		}
		if err != nil {
			return err
		}
		revisions, last = append(revisions, revision), revision
	}
	p.Board.founded()
	for number, revision := range revisions {
		// Not freed, it is ours to take now and anybody's soon.
		if _, err := p.Board.write(ctx, permitKey(p.Provider, number), PermitRecord{Since: time.Now().UTC()}, revisionOf(revision)); err != nil {
			p.Log.Debug("permit not freed", "permit", number, "err", err)
		}
	}
	return nil
}

// place puts a record in for an absent one. It may be taken over like a dead
// pod's: after a lease in which nobody showed up.
func (p *Permits) place(ctx context.Context, number int, rec record) error {
	_, err := p.Board.write(ctx, permitKey(p.Provider, number),
		PermitRecord{Holder: nobody, Since: time.Now().UTC(), LeaseMS: p.Lease.Milliseconds()}, revisionOf(rec.revision))
	if err == nil {
		p.Log.Warn("there was no record of a permit: it is free after a lease", "permit", number)
	}
	return err
}
