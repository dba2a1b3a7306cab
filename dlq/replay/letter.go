package replay

import (
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// replayOf is the message that puts a letter back.
type replayOf struct {
	letter  *dlq.Stored
	id      string
	body    []byte
	options []publisher.Option
}

// message changes the event as it was ordered and makes the message. The
// error is an *event.Violation: the provider could still not take it.
func (p *Plan) message(l *dlq.Stored) (replayOf, error) {
	exported := l.Exported()
	exported.Body, exported.BodyBase64 = nil, l.Body
	if p.options.Change != nil {
		body, fields, err := p.options.Change(l)
		if err != nil {
			return replayOf{}, err
		}
		exported.BodyBase64 = body
		if len(fields) > 0 {
			exported.Headers = noted(l, exported.Headers, fields)
		}
	}
	id, body, options, err := exported.Replay()
	return replayOf{l, id, body, options}, err
}

// noted adds to the history which fields are different from here on.
func noted(l *dlq.Stored, header nats.Header, fields []string) nats.Header {
	history := deaths(l)
	history[len(history)-1].Edited = fields
	text, err := json.Marshal(history)
	if err != nil {
		return header // names of fields always encode
	}
	next := maps.Clone(header)
	next.Set(dlq.HeaderHistory, string(text))
	return next
}

// deaths is the letter's history; one that cannot be read has its last.
func deaths(l *dlq.Stored) []dlq.Death {
	if len(l.History) == 0 {
		return []dlq.Death{{Code: l.Code, At: l.FailedAt.UTC().Truncate(time.Millisecond)}}
	}
	return slices.Clone(l.History)
}

// trialOf marks a replay as a trial, which does not count when it fails.
func trialOf(l *dlq.Stored) publisher.Option {
	return publisher.Header(dlq.HeaderTrials, strconv.Itoa(l.Trials+1))
}

// mostAttempts bounds the two halves of an entry's attempt.
const mostAttempts = 1<<16 - 1

// entryOf is what the plan remembers of a letter; the problem is why its event
// is not valid.
func (p *Plan) entryOf(l *dlq.Stored) (e entry, problem string) {
	e = entry{seq: l.Seq, id: p.hash(l.ID), body: p.hashOf(l.Body), edited: isEdited(l.History),
		attempt: uint32(min(l.Generation, mostAttempts))<<16 | uint32(min(l.Trials, mostAttempts))}
	e.at = p.latest(l).UnixNano()
	e.position, e.placed = placeOf(l.ID, p.created)
	if i := slices.Index(p.names, l.Provider); i >= 0 {
		e.provider = uint8(i)
	} else {
		e.provider = uint8(len(p.names))
		p.names = append(p.names, l.Provider)
	}
	m, err := p.message(l)
	if err != nil {
		why, problem := wrong(err)
		e.leave(why)
		return e, problem
	}
	e.replay = p.hash(m.id)
	if ev, err := event.Decode(m.body); err == nil {
		e.key = p.keyOf(l.Provider, ev)
		e.registered = registeredAt(ev)
	}
	if limit := p.options.MaxGeneration; limit > 0 && l.Generation >= limit {
		e.leave(TooOften)
	}
	return e, ""
}

// wrong tells the event's own fault, which can be corrected, from the letter's.
func wrong(err error) (Why, string) {
	v, ok := errors.AsType[*event.Violation](err)
	switch {
	case !ok:
		return Invalid, err.Error()
	case v.Field == "provider" || strings.HasPrefix(v.Field, "headers."):
		return Malformed, v.Error()
	}
	return Invalid, v.Error()
}

// latest is when the event came, at the latest: it first died then. One that
// expired had waited for as long as the stream keeps events, less an hour.
func (p *Plan) latest(l *dlq.Stored) time.Time {
	if age := p.events.CachedInfo().Config.MaxAge; l.Code == "expired" && age > 0 {
		return l.FirstFailedAt.Add(consumer.MinMaxAge - age)
	}
	return l.FirstFailedAt
}

func (p *Plan) keyOf(provider string, ev *event.Event) uint64 {
	if who := identity(provider, ev); who != "" {
		return p.hash(who)
	}
	return 0
}

// hash is never 0. Two texts with the same hash are rare, and not trusted
// where a letter would be lost by it.
func (p *Plan) hash(text string) uint64 { return max(1, maphash.String(p.seed, text)) }

func (p *Plan) hashOf(body []byte) uint64 { return max(1, maphash.Bytes(p.seed, body)) }

// isPlanned reports whether what stands at an entry's place is its letter.
func (p *Plan) isPlanned(e *entry, l *dlq.Stored) bool {
	return p.hash(l.ID) == e.id && p.hashOf(l.Body) == e.body
}
