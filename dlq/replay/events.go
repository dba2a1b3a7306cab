package replay

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/scan"
)

// readEvents looks at every event that was stored since the last look, and
// marks the letters that a newer one supersedes, and those whose replay stands
// there already.
func (p *Plan) readEvents(ctx context.Context) error {
	for m, err := range scan.Messages(ctx, p.js, scan.Range{Stream: consumer.EventsStream, From: p.read + 1}) {
		if err != nil {
			return err
		}
		p.meet(m)
		p.read = m.Seq
	}
	return nil
}

// follow goes on looking while a run goes on: users log in meanwhile, and
// another run may be at work.
func (r *run) follow(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = r.readEvents(ctx) // the next look begins where this one ended
			if err := r.isAnew(ctx); errors.Is(err, errAnew) {
				r.fail(err)
				return
			}
		}
	}
}

// meet compares one event with the letters.
func (p *Plan) meet(m scan.Message) {
	addressed, isReplay := strings.CutPrefix(m.Subject, consumer.EventsSubject+".")
	if isReplay {
		p.meetReplay(m, addressed)
	}
	if len(p.byKey) == 0 {
		return
	}
	ev, err := event.Decode(m.Data)
	if err != nil {
		return
	}
	came := moment{registered: registeredAt(ev), position: m.Seq, placed: true, at: m.Stored.UnixNano()}
	if id := m.Header.Get(dlq.HeaderID); isReplay && id != "" {
		came.position, came.placed = placeOf(id, p.created)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, provider := range event.Providers() {
		var route event.Route
		switch {
		case isReplay && provider != addressed:
			continue
		case isReplay:
			route, err = ev.RouteOnly(provider)
		default:
			route, err = ev.Route(provider)
		}
		if err != nil || route != event.Deliver {
			continue // it does not reach the provider, so it replaces nothing there
		}
		p.with(p.byKey, func(e *entry) uint64 { return e.key }, p.keyOf(provider, ev), func(e *entry) { p.compare(e, came, m, isReplay) })
	}
}

// compare judges a letter by an event of the same identity. The caller holds
// the lock.
func (p *Plan) compare(e *entry, came moment, m scan.Message, isReplay bool) {
	switch {
	case isReplay && p.hash(m.Header.Get(dlq.HeaderID)) == e.id: // a replay of this very letter
	case !isReplay && e.placed && m.Seq == e.position: // its own event: now it is known when that came
		e.at = came.at
	case (e.state == ready || e.state == twin) && !p.options.Stale && came.newer(e.when()):
		e.leave(Superseded)
	}
}

// meetReplay finds the letter that a replay was made of. Who removes it looks
// once more at what the replay carries.
func (p *Plan) meetReplay(m scan.Message, provider string) {
	id, letter := m.Header.Get(jetstream.MsgIDHeader), m.Header.Get(dlq.HeaderID)
	if id == "" || letter == "" {
		return
	}
	body, edited := p.hashOf(m.Data), isEdited(historyOf(m.Header))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.with(p.byReply, func(e *entry) uint64 { return e.replay }, p.hash(unmarked(id, letter)), func(e *entry) {
		open := e.claim == unclaimed || e.unsure
		if e.state == taken || e.state == gone || p.names[e.provider] != provider || !open ||
			!isNext(m.Header, int(e.attempt>>16), int(e.attempt&mostAttempts)) {
			return
		}
		if same := e.body == body; same || edited && e.claim == unclaimed {
			e.claim, e.proof, e.unsure = replayed, m.Seq, !same
		}
	})
}
