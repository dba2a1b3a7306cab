package fleet

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Hold is a provider set aside for a while, as the bucket's key
// `hold.<provider>` has it. The zero Hold means: not held.
type Hold struct {
	Reason  string    `json:"reason"`           // throttled, unauthorized, unavailable, misconfigured
	Detail  string    `json:"detail,omitzero"`  // the answer that led to it, one scrubbed line
	Since   time.Time `json:"since"`            // when the episode began
	Until   time.Time `json:"until"`            // when the next probe may go
	PauseMS int64     `json:"pause_ms"`         // Until as a length, so that no clocks need to agree
	Doubts  int       `json:"doubts,omitzero"`  // different calls in a row that speak against the provider
	Named   bool      `json:"named,omitzero"`   // it refuses every record by name: only an acceptance ends it
	Step    int       `json:"step"`             // failed probes so far
	Prober  string    `json:"prober,omitzero"`  // the pod that is probing now
	Probing time.Time `json:"probing,omitzero"` // since when
}

// Cause is what a hold begins or goes on with.
type Cause struct {
	Reason string
	Detail string        // one scrubbed line
	Floor  time.Duration // the pause that the provider asked for; 0: none
	Doubts int           // different calls in a row that speak against the provider
	Named  bool          // records are refused by name, one after the other
}

// Holds begins, probes and ends holds over the whole fleet.
type Holds struct {
	board    *Board
	self     string
	schedule Schedule
	lease    time.Duration // a probe not finished for this long belongs to a dead pod
	log      *slog.Logger

	mu    sync.Mutex
	local map[string]localHold // what this pod decided and could not write yet
}

// localHold keeps this pod quiet while the bucket cannot be written.
type localHold struct {
	hold Hold
	ends time.Time
}

// NewHolds speaks for the pod named self. lease is how long a prober may be
// silent before another pod takes the probe over.
func NewHolds(board *Board, self string, schedule Schedule, lease time.Duration, log *slog.Logger) *Holds {
	return &Holds{board: board, self: self, schedule: schedule, lease: lease, log: log, local: map[string]localHold{}}
}

func holdKey(provider string) string { return "hold." + provider }

// State is what the fleet says of a provider now: whether it is held, when
// this pod may try to probe (never before, by its own clock), and a channel
// that is closed when anything changes.
type State struct {
	Held    bool
	Hold    Hold
	ProbeAt time.Time
	Changed <-chan struct{}
}

// State reads the board; it never asks the broker.
func (h *Holds) State(provider string) State {
	rec, changed := h.board.look(holdKey(provider))
	state := State{Changed: changed}
	if hold, ok := decodeHold(rec); ok {
		return State{Held: true, Hold: hold, ProbeAt: probeAt(hold, rec.seen, h.lease), Changed: changed}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if own, ok := h.local[provider]; ok {
		state.Held, state.Hold, state.ProbeAt = true, own.hold, own.ends
	}
	return state
}

// probeAt is when a pod that saw the record at `seen` may try: at the end of
// the pause or, while somebody probes, when that probe has gone stale. The
// wall clock only ever shortens the wait, for pods that join late.
func probeAt(hold Hold, seen time.Time, lease time.Duration) time.Time {
	if hold.Prober != "" {
		return seen.Add(lease)
	}
	byPause := seen.Add(time.Duration(hold.PauseMS) * time.Millisecond)
	if wait := time.Until(hold.Until); wait < time.Until(byPause) {
		return time.Now().Add(wait)
	}
	return byPause
}

func decodeHold(rec record) (Hold, bool) {
	if len(rec.value) == 0 { // asked before every call: not held is the usual answer
		return Hold{}, false
	}
	var hold Hold
	if json.Unmarshal(rec.value, &hold) != nil {
		return Hold{}, false
	}
	return hold, true
}

// Begin holds a provider for the whole fleet. When it is held already the
// standing hold stays. It reports whether this call began the episode. When
// the bucket cannot be written this pod alone is quiet, for one pause.
func (h *Holds) Begin(ctx context.Context, provider string, cause Cause) bool {
	rec, _ := h.board.look(holdKey(provider))
	if _, held := decodeHold(rec); held {
		return false
	}
	pause := h.schedule.Pause(0, cause.Floor)
	now := time.Now()
	hold := Hold{Reason: cause.Reason, Detail: cause.Detail, Doubts: cause.Doubts, Named: cause.Named, Since: now.UTC(), Until: now.Add(pause).UTC(), PauseMS: pause.Milliseconds()}
	_, err := h.board.write(ctx, holdKey(provider), hold, revisionOf(rec.revision))
	if s, ok := errors.AsType[*stale](err); ok {
		if _, held := decodeHold(s.standing); held {
			return false
		}
		_, err = h.board.write(ctx, holdKey(provider), hold, revisionOf(s.standing.revision))
	}
	if err != nil {
		h.log.Warn("hold could not be shared with the fleet; this pod keeps it alone", "provider", provider, "err", err)
		h.mu.Lock()
		defer h.mu.Unlock()
		_, standing := h.local[provider]
		h.local[provider] = localHold{hold: hold, ends: now.Add(pause)}
		return !standing
	}
	return true
}

// Probe is the right of one pod, won by compare-and-set, to try a held
// provider with a single record.
type Probe struct {
	holds    *Holds
	provider string
	hold     Hold
	revision uint64
}

// TryProbe wins the probe or says that it is not to be had now; early asks for
// it before the pause is over. A hold that
// only this pod keeps is dropped first: the next call then is its probe.
func (h *Holds) TryProbe(ctx context.Context, provider string, early bool) (*Probe, bool) {
	rec, _ := h.board.look(holdKey(provider))
	hold, held := decodeHold(rec)
	if !held {
		h.mu.Lock()
		defer h.mu.Unlock()
		if own, ok := h.local[provider]; ok && !time.Now().Before(own.ends) {
			delete(h.local, provider)
		}
		return nil, false
	}
	if time.Now().Before(probeAt(hold, rec.seen, h.lease)) && (!early || hold.Prober != "") {
		return nil, false
	}
	hold.Prober, hold.Probing = h.self, time.Now().UTC()
	revision, err := h.board.write(ctx, holdKey(provider), hold, revisionOf(rec.revision))
	if err != nil {
		return nil, false
	}
	return &Probe{holds: h, provider: provider, hold: hold, revision: revision}, true
}

// Succeeded ends the hold for everybody.
func (p *Probe) Succeeded(ctx context.Context) error {
	_, err := p.holds.board.write(ctx, holdKey(p.provider), nil, revisionOf(p.revision))
	return err
}

// Failed extends the hold by the next, longer pause.
func (p *Probe) Failed(ctx context.Context, cause Cause) error {
	hold := p.hold
	hold.Reason, hold.Detail, hold.Doubts, hold.Step = cause.Reason, cause.Detail, cause.Doubts, hold.Step+1
	hold.Named = hold.Named || cause.Named
	pause := p.holds.schedule.Pause(hold.Step, cause.Floor)
	hold.Until, hold.PauseMS = time.Now().Add(pause).UTC(), pause.Milliseconds()
	hold.Prober, hold.Probing = "", time.Time{}
	_, err := p.holds.board.write(ctx, holdKey(p.provider), hold, revisionOf(p.revision))
	return err
}

// Abandoned gives the right to probe back without a verdict, the pause unchanged.
func (p *Probe) Abandoned(ctx context.Context) error {
	hold := p.hold
	hold.Prober, hold.Probing = "", time.Time{}
	hold.PauseMS = max(0, time.Until(hold.Until).Milliseconds())
	_, err := p.holds.board.write(ctx, holdKey(p.provider), hold, revisionOf(p.revision))
	return err
}

// Hasten lets a hold of this reason be probed now, by whoever of the fleet wins:
// what led to it has changed here. A probe that is under way may not know of the
// change, so its end is waited for. It returns at once when there is no such hold.
func (h *Holds) Hasten(ctx context.Context, provider, reason string) error {
	h.hastenOwn(provider, reason)
	for {
		rec, changed := h.board.look(holdKey(provider))
		hold, held := decodeHold(rec)
		if !held || hold.Reason != reason {
			return nil
		}
		if hold.Prober == "" {
			if !time.Now().Before(probeAt(hold, rec.seen, h.lease)) {
				return nil
			}
			hold.Until, hold.PauseMS = time.Now().UTC(), 0
			if _, err := h.board.write(ctx, holdKey(provider), hold, revisionOf(rec.revision)); err == nil {
				return nil
			} else if _, ok := errors.AsType[*stale](err); !ok {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hastenOwn is Hasten for a hold that only this pod keeps.
func (h *Holds) hastenOwn(provider, reason string) {
	h.mu.Lock()
	own, standing := h.local[provider]
	if standing = standing && own.hold.Reason == reason; standing {
		own.ends = time.Now()
		h.local[provider] = own
	}
	h.mu.Unlock()
	if standing {
		h.board.stir() // whoever waits looks at the end that it waits for
	}
}

// Doubts is how many different calls in a row spoke against the provider when
// the probe was won.
func (p *Probe) Doubts() int { return p.hold.Doubts }

// Named tells that the provider refuses every record by name.
func (p *Probe) Named() bool { return p.hold.Named }

// HeldFor is how long the episode has lasted.
func (p *Probe) HeldFor() time.Duration { return time.Since(p.hold.Since) }
