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

// takeableAt is when a pod may take what it saw so: a free one at once, a held
// one when its watcher has not seen it change for the whole of its own lease,
// an absent one after a lease, since whoever held it may still believe so.
func takeableAt(rec record, self string, lease time.Duration, fresh bool) time.Time {
	permit, present := decodePermit(rec)
	switch {
	case !present && fresh:
		return time.Time{}
	case !present:
		return rec.seen.Add(lease)
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
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		number, rec, at, changed := p.next()
		if wait := time.Until(at); wait > 0 || number < 0 {
			if err := waitFor(ctx, changed, wait); err != nil {
				return nil, err
			}
			continue
		}
		// A little jitter: every waiting pod saw the same change.
		if err := waitFor(ctx, nil, rand.N(3*time.Millisecond)); err != nil {
			return nil, err
		}
		permit, err := p.tryTake(ctx, number, rec)
		if err == nil {
			return permit, nil
		}
		if _, ok := errors.AsType[*stale](err); ok {
			continue // the board shows what stands there now
		}
		p.Log.Debug("permit not taken", "permit", number, "err", err)
		if err := waitFor(ctx, nil, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// next is the number to try for, or -1, and when.
func (p *Permits) next() (number int, rec record, at time.Time, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number = -1
	at = time.Now().Add(time.Hour)
	for n := range p.Cap {
		if _, ours := p.held[n]; ours {
			continue
		}
		key := permitKey(p.Provider, n)
		seen, change := p.Board.look(key)
		if changed == nil {
			changed = change
		}
		if may := takeableAt(seen, p.Self, p.Lease, p.Board.neverHeld(key)); may.Before(at) {
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
		from: p, number: number, sent: now,
		record: PermitRecord{Holder: p.Self, Nonce: nuid.Next(), Since: now.UTC(), LeaseMS: p.Lease.Milliseconds()},
		lost:   make(chan struct{}), wanted: make(chan struct{}), end: make(chan struct{}),
		renewed: make(chan struct{}), ended: make(chan struct{}),
	}
	// Cut off, it may have been taken all the same and would wait out a lease.
	revision, err := p.Board.write(context.WithoutCancel(ctx), permitKey(p.Provider, number), permit.record, rec.revision)
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
