package console

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	firstPenalty = 500 * time.Millisecond // after the first wrong password; doubled by each further one
	mostPenalty  = 30 * time.Second
	forgotten    = 15 * time.Minute // without a try
	mostWaiting  = 4                // tries of one place at a time
	mostPlaces   = 10_000
)

// gate slows down who guesses passwords: the tries of one place are looked at
// one after the other, and each wrong one delays the next by twice as much. A
// right password waits its turn, too, so that many tries at once gain nothing.
type gate struct {
	mu     sync.Mutex
	places map[string]*place
}

// place is where tries come from: an address of IPv4, a /64 network of IPv6.
type place struct {
	wrong   int
	free    time.Time // no try is looked at before
	waiting int
	last    time.Time
}

func newGate() *gate { return &gate{places: map[string]*place{}} }

var errCrowded = errors.New("too many tries at a time")

// try waits for the place's turn and then looks at the password. It reports
// whether it was right; the error says that it was not looked at.
func (g *gate) try(ctx context.Context, remote string, right func() bool) (bool, error) {
	at := placeOf(remote)
	g.mu.Lock()
	p := g.enter(at, time.Now())
	if p.waiting >= mostWaiting {
		g.mu.Unlock()
		return false, errCrowded
	}
	p.waiting++
	defer func() {
		g.mu.Lock()
		p.waiting--
		g.mu.Unlock()
	}()
	for {
		now := time.Now()
		wait := p.free.Sub(now)
		if wait <= 0 {
			ok := right()
			p.last = now
			if ok {
				p.wrong = 0
			} else {
				p.free = now.Add(min(firstPenalty<<min(p.wrong, 10), mostPenalty))
				p.wrong++
			}
			g.mu.Unlock()
			return ok, nil
		}
		g.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, context.Cause(ctx)
		}
		g.mu.Lock()
	}
}

// enter finds a place or makes one; the caller holds the lock.
func (g *gate) enter(at string, now time.Time) *place {
	if p := g.places[at]; p != nil {
		if now.Sub(p.last) >= forgotten && p.waiting == 0 {
			p.wrong = 0
		}
		return p
	}
	if len(g.places) >= mostPlaces {
		for other, p := range g.places {
			if p.waiting == 0 && (now.Sub(p.last) >= forgotten || len(g.places) >= mostPlaces) {
				delete(g.places, other)
			}
		}
	}
	p := &place{last: now}
	g.places[at] = p
	return p
}

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
