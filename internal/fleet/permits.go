package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nuid"
)

// PermitRecord is a permit as the bucket's key `permits.<provider>.<n>` has it:
// held by a pod, or free.
type PermitRecord struct {
	Holder   string    `json:"holder,omitzero"`   // the pod; empty: free
	Nonce    string    `json:"nonce,omitzero"`    // of this taking, so that a holder knows its own
	Since    time.Time `json:"since"`             // when it was taken, or freed
	LeaseMS  int64     `json:"lease_ms,omitzero"` // unchanged for this long, it may be taken over
	Reserved string    `json:"reserved,omitzero"` // free, but lent to this borrower
}

// PermitSettings are what a pod needs to take part.
type PermitSettings struct {
	Board    *Board
	Provider string
	Cap      int           // numbers below it may be taken
	Self     string        // this pod's name
	Lease    time.Duration // PERMIT_LEASE
	Renewal  time.Duration // how often a held permit is renewed
	Call     time.Duration // HTTP_TIMEOUT: the longest a call stays open
	Log      *slog.Logger
}

// reserve is how long a lent permit waits for its borrower.
const reserve = 3 * time.Second

// Permits are the rights to have one call open each, leases over the whole
// fleet. Every change is a compare-and-set and the server's ack its proof; a
// stale holder can neither renew nor free what is another's by now. What no
// lease can cover: a process stopped in the very call keeps that call open.
type Permits struct {
	PermitSettings
	turn chan struct{} // held by the one sender of this pod that tries to take

	mu     sync.Mutex
	held   map[int]*Permit
	barred time.Time // no taking before: a permit was lost while a call may have been open
	unable error     // why none can be taken, since troubleAfter; nil: they can
}

// NewPermits takes nothing yet.
func NewPermits(s PermitSettings) *Permits {
	return &Permits{PermitSettings: s, turn: make(chan struct{}, 1), held: map[int]*Permit{}}
}

func permitKey(provider string, number int) string {
	return fmt.Sprintf("permits.%s.%d", provider, number)
}

func decodePermit(rec record) (PermitRecord, bool) {
	var permit PermitRecord
	if len(rec.value) == 0 || json.Unmarshal(rec.value, &permit) != nil {
		return PermitRecord{}, false
	}
	return permit, true
}

// expired tells whether a record was not renewed for its lease, as far as this
// pod has seen it.
func (p PermitRecord) expired(rec record) bool {
	return time.Since(rec.seen) > time.Duration(p.LeaseMS)*time.Millisecond
}

// takeableAt is when a pod may write over what it saw so: a free one at once, a
// held one when its watcher has not seen it change for the whole of its own
// lease. An absent one is only put in place, and not while the fleet's founder
// may be about to.
func takeableAt(rec record, self string) time.Time {
	permit, present := decodePermit(rec)
	switch {
	case !present:
		return rec.seen.Add(reserve)
	case permit.Holder != "":
		return rec.seen.Add(time.Duration(permit.LeaseMS) * time.Millisecond)
	case permit.Reserved != "" && permit.Reserved != self:
		return rec.seen.Add(reserve)
	}
	return time.Time{}
}

// Take waits for a permit, the lowest number first; the error is ctx's.
// Waiting costs nothing but the watch. The permit renews itself until it is
// given back or lost.
func (p *Permits) Take(ctx context.Context) (*Permit, error) {
	return p.take(ctx, p.Cap, func(err error) error {
		p.noteUnable(err)
		return nil
	})
}

// troubleAfter is how long no permit could be asked for before somebody hears
// of it: a change of leaders passes by itself.
const troubleAfter = 5 * time.Second

// take is Take for both kinds of takers. unable is told when the asking itself
// has failed for a while; its error ends the matter.
func (p *Permits) take(ctx context.Context, fills int, unable func(error) error) (*Permit, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var failing time.Time
	for {
		permit, err := p.step(ctx, fills)
		if err == nil {
			failing = time.Time{}
			p.noteUnable(nil)
		}
		if permit != nil {
			return permit, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil {
			continue
		}
		p.Log.Debug("permit not taken", "err", err)
		if failing.IsZero() {
			failing = time.Now()
		}
		if time.Since(failing) >= troubleAfter {
			if err := unable(err); err != nil {
				return nil, err
			}
		}
		_ = waitFor(ctx, nil, 100*time.Millisecond)
	}
}

// noteUnable keeps why no permit can be taken, and says it once; nil: they can.
func (p *Permits) noteUnable(err error) {
	p.mu.Lock()
	was := p.unable
	p.unable = err
	p.mu.Unlock()
	switch {
	case was == nil && err != nil:
		p.Log.Warn("no permit can be taken: this pod makes no calls", "provider", p.Provider, "err", err)
	case was != nil && err == nil:
		p.Log.Info("permits can be taken again", "provider", p.Provider)
	}
}

// Unable is why this pod cannot take permits, as it is for a while now; nil
// when it can, or just waits for one.
func (p *Permits) Unable() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unable
}

// step does what is next towards a permit: it waits, puts a missing record in
// place, or takes one. Without both permit and error there is a next step.
func (p *Permits) step(ctx context.Context, fills int) (*Permit, error) {
	if p.Board.unfounded() {
		return nil, p.found(ctx)
	}
	number, rec, at, changed := p.next(fills)
	if wait := time.Until(at); wait > 0 || number < 0 {
		return nil, waitFor(ctx, changed, wait)
	}
	// A little jitter: every waiting pod saw the same change.
	if err := waitFor(ctx, nil, rand.N(3*time.Millisecond)); err != nil {
		return nil, err
	}
	var permit *Permit
	var err error
	if _, present := decodePermit(rec); present {
		permit, err = p.tryTake(ctx, number, rec)
	} else {
		err = p.place(ctx, number, rec)
	}
	if _, refused := errors.AsType[*stale](err); refused {
		return nil, nil // the board shows what stands there now
	}
	return permit, err
}

// next is the number to try for, or -1, and when. Missing records are put in
// place below the number of fills.
func (p *Permits) next(fills int) (number int, rec record, at time.Time, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number = -1
	at = time.Now().Add(time.Hour)
	for n := range p.Cap {
		if _, ours := p.held[n]; ours {
			continue
		}
		seen, change := p.Board.look(permitKey(p.Provider, n))
		if changed == nil {
			changed = change
		}
		if _, present := decodePermit(seen); !present && n >= fills {
			continue
		}
		if may := takeableAt(seen, p.Self); may.Before(at) {
			number, rec, at = n, seen, may
		}
	}
	if changed == nil { // all of them are ours
		_, changed = p.Board.look("")
	}
	if p.barred.After(at) {
		at = p.barred
	}
	return number, rec, at, changed
}

func (p *Permits) tryTake(ctx context.Context, number int, rec record) (*Permit, error) {
	now := time.Now()
	permit := &Permit{
		from: p, number: number, bucket: p.Board.wiped(), sent: now,
		record: PermitRecord{Holder: p.Self, Nonce: nuid.Next(), Since: now.UTC(), LeaseMS: p.Lease.Milliseconds()},
		lost:   make(chan struct{}), wanted: make(chan struct{}), end: make(chan struct{}),
		renewed: make(chan struct{}), ended: make(chan struct{}),
	}
	// Cut off, it may have been taken all the same and would wait out a lease.
	revision, err := p.Board.write(context.WithoutCancel(ctx), permitKey(p.Provider, number), permit.record, revisionOf(rec.revision))
	if err != nil {
		return nil, err
	}
	permit.revision = revision
	p.mu.Lock()
	p.held[number] = permit
	p.mu.Unlock()
	p.Log.Debug("permit taken", "permit", number)
	go permit.keep()
	return permit, nil
}

// waitFor returns after the wait or a change; the error is ctx's.
func waitFor(ctx context.Context, changed <-chan struct{}, wait time.Duration) error {
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// State lists the provider's permits as this pod sees them, by number, those
// at or above the cap included; one that is absent is not in it.
func (p *Permits) State() map[int]PermitRecord {
	list := map[int]PermitRecord{}
	for n := range maxCap {
		rec, _ := p.Board.look(permitKey(p.Provider, n))
		if permit, present := decodePermit(rec); present {
			list[n] = permit
		}
	}
	return list
}
