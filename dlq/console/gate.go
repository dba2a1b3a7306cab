package console

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	limit "golang.org/x/time/rate"
)

const (
	firstPenalty = 500 * time.Millisecond // after the first wrong password; doubled by each further one
	mostPenalty  = 30 * time.Second
	longestWait  = 45 * time.Second // of one try; the server gives up an answer after 90 s
	forgotten    = 15 * time.Minute // without a try
	mostWaiting  = 4                // tries of one place at a time
	mostPlaces   = 10_000

	strangersRate  = 5 // tries per second of all unknown browsers together
	strangersBurst = 10
)

// gate slows down who guesses passwords: the tries of one place are looked at
// one after the other, and each wrong one delays the next by twice as much. A
// right password waits its turn, too, so that many tries at once gain nothing.
// Who guesses from many places meets what all strangers share.
type gate struct {
	firstPenalty, mostPenalty time.Duration

	mu        sync.Mutex
	strangers *limit.Limiter
	places    map[string]*place
}

// caller is who tries a password.
type caller struct {
	place string
	known bool // a browser that has logged in before: a place of its own, and no stranger
}

// place is where tries come from: a known browser, an address of IPv4, a /64
// network of IPv6.
type place struct {
	wrong   int
	free    time.Time // no try is looked at before
	waiting int
	last    time.Time
}

func newGate() *gate {
	return &gate{
		firstPenalty: firstPenalty, mostPenalty: mostPenalty,
		strangers: limit.NewLimiter(strangersRate, strangersBurst), places: map[string]*place{},
	}
}

var (
	errCrowded = errors.New("too many tries from one place")
	errFlooded = errors.New("too many tries from all strangers together")
)

// try waits for the place's turn and then looks at the password. It reports
// whether it was right; the error says that it was not looked at.
func (g *gate) try(ctx context.Context, from caller, right func() bool) (bool, error) {
	began := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	// Before a place is made, so that a flood cannot drive others' penalties out.
	if !from.known && g.strangers.TokensAt(began) < 1 {
		return false, errFlooded
	}
	p := g.enter(from.place, began)
	if p.waiting >= mostWaiting {
		return false, errCrowded
	}
	p.waiting++
	defer func() { p.waiting-- }()
	for now := began; now.Before(p.free); now = time.Now() {
		if p.free.Sub(began) > longestWait {
			return false, errCrowded
		}
		wait := p.free.Sub(now)
		g.mu.Unlock()
		waited := pause(ctx, wait)
		g.mu.Lock()
		if !waited {
			return false, context.Cause(ctx)
		}
	}
	now := time.Now()
	// Only now, so that who goes away while waiting takes nothing from others.
	if !from.known && !g.strangers.AllowN(now, 1) {
		return false, errFlooded
	}
	p.last = now
	if right() {
		p.wrong = 0
		return true, nil
	}
	p.free = now.Add(min(g.firstPenalty<<min(p.wrong, 10), g.mostPenalty))
	p.wrong++
	return false, nil
}

// enter finds a place or makes one; the caller holds the lock.
func (g *gate) enter(at string, now time.Time) *place {
	if p := g.places[at]; p != nil {
		if p.idle(now) {
			p.wrong = 0
		}
		return p
	}
	if len(g.places) >= mostPlaces {
		maps.DeleteFunc(g.places, func(_ string, p *place) bool { return p.idle(now) })
	}
	if len(g.places) >= mostPlaces { // of known browsers, for strangers do not come so fast
		maps.DeleteFunc(g.places, func(_ string, p *place) bool { return p.waiting == 0 && len(g.places) >= mostPlaces })
	}
	p := &place{last: now}
	g.places[at] = p
	return p
}

func (p *place) idle(now time.Time) bool { return p.waiting == 0 && now.Sub(p.last) >= forgotten }

func placeOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is6() {
		network, _ := ip.WithZone("").Prefix(64)
		return network.String()
	}
	return ip.String()
}
