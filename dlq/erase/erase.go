// Package erase removes a person from the events' and the letters' stream, and
// from their disks.
//
// It knows which messages name a person and which of the events had not been
// handed to any worker yet: these end as `erased`. It refuses to know what
// became of the others, and how a message is searched that is no event: dlq
// does. It owns no goroutine.
package erase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/scan"
)

// Person is whom to erase: whoever has either of these. Both are personal and
// never shown.
type Person struct {
	User   string // user_id
	Object string // object_id
}

// named reports whether a message names the person. One that is no valid event
// is counted: whether it is the person's is known less well.
func (p Person) named(header nats.Header, body []byte, count *Counts) bool {
	var byUser, byObject, valid bool
	if p.User != "" {
		byUser, valid = dlq.Search(header, body, "", p.User, "")
	}
	if p.Object != "" {
		byObject, valid = dlq.Search(header, body, "", "", p.Object)
	}
	if !valid {
		count.Searched++
	}
	return byUser || byObject
}

// Counts is what was found, or removed.
type Counts struct {
	Letters  int
	Events   int            // in the events' stream, whatever became of them
	Searched int            // of all letters and events: no valid events, and searched as text
	Erased   map[string]int // of these, by provider: it had not got them, and now never will
	Counted  map[string]int // of the erased, by provider: a worker has them in its metrics
	InHand   map[string]int // of the events, by provider: a worker has them and may still deliver them
}

// Eraser removes one person.
type Eraser struct {
	js      jetstream.JetStream
	letters *dlq.Reader
	events  jetstream.Stream // nil when there is none
	missing error            // why there is none
	person  Person

	// Patience is how long Remove waits for what is in a worker's hands.
	Patience time.Duration
}

// New finds the streams. When that of the events is missing, the letters are
// erased all the same, and then Look or Remove says so.
func New(ctx context.Context, js jetstream.JetStream, letters *dlq.Reader, person Person) (*Eraser, error) {
	if person == (Person{}) {
		return nil, errors.New("erase: nobody named")
	}
	e := &Eraser{js: js, letters: letters, person: person, Patience: 10 * time.Second}
	events, err := js.Stream(ctx, consumer.EventsStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		e.missing = fmt.Errorf("stream %s is missing, so events were not looked at: no worker has made it yet, or NATS_URL leads to another broker: %w", consumer.EventsStream, err)
	case err != nil:
		return nil, fmt.Errorf("stream %s: %w", consumer.EventsStream, err)
	default:
		e.events = events
	}
	return e, nil
}

// Look counts what is stored of the person and changes nothing. A missing
// stream is its error only when there is no letter: else Remove has something
// to do, and tells then.
func (e *Eraser) Look(ctx context.Context) (Counts, error) {
	var found Counts
	if e.events != nil {
		for m, err := range scan.Messages(ctx, e.js, scan.Range{Stream: consumer.EventsStream}) {
			if err != nil {
				return found, err
			}
			if e.person.named(m.Header, m.Data, &found) {
				found.Events++
			}
		}
	}
	for l, err := range e.letters.Letters(ctx, dlq.Filter{}, dlq.End, dlq.Whole) {
		if err != nil {
			return found, err
		}
		if e.person.named(l.Header, l.Body, &found) {
			found.Letters++
		}
	}
	if found.Letters == 0 {
		return found, e.missing
	}
	return found, nil
}

// Remove removes all that is stored of the person and reports what it has
// removed so far. An event that a worker has in hand cannot be taken back:
// Remove waits for it, and removes the letter that it may become.
func (e *Eraser) Remove(ctx context.Context, report func(Counts)) (Counts, error) {
	done := Counts{Erased: map[string]int{}, Counted: map[string]int{}, InHand: map[string]int{}}
	// Letters first: one that is being replayed stands among the events then.
	if err := e.removeLetters(ctx, &done, report); err != nil {
		return done, err
	}
	if e.events == nil {
		return done, e.missing
	}
	err := e.removeEvents(ctx, &done, report)
	e.tellWorkers(context.WithoutCancel(ctx), &done) // what is erased is, also when the rest fails
	if err != nil {
		return done, err
	}
	searched := done.Searched // the letters are looked at a second time
	err = e.removeLetters(ctx, &done, report)
	done.Searched = searched
	return done, err
}

// removeEvents removes what no worker has in hand at once. What one has, it
// waits for: after a removal nobody can tell whether a letter will follow.
func (e *Eraser) removeEvents(ctx context.Context, done *Counts, report func(Counts)) error {
	var inHand []scan.Message
	for m, err := range scan.Messages(ctx, e.js, scan.Range{Stream: consumer.EventsStream}) {
		if err != nil {
			return err
		}
		if !e.person.named(m.Header, m.Data, done) {
			continue
		}
		open, err := e.open(ctx, m)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			inHand = append(inHand, m)
			continue
		}
		if err := e.removeEvent(ctx, m, done); err != nil {
			return err
		}
		report(*done)
	}
	deadline := time.Now().Add(e.Patience)
	for _, m := range inHand {
		open, err := e.await(ctx, m, deadline)
		if err != nil {
			return err
		}
		if err := e.removeEvent(ctx, m, done); err != nil {
			return err
		}
		for _, provider := range open {
			done.InHand[provider]++
		}
		report(*done)
	}
	return nil
}

// removeEvent removes an event and asks then, for what had not been handed out
// by now never will be.
func (e *Eraser) removeEvent(ctx context.Context, m scan.Message, done *Counts) error {
	ctx, cancel := dlq.Finishing(ctx)
	defer cancel()
	err := e.events.SecureDeleteMsg(ctx, m.Seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, err := e.events.GetMsg(ctx, m.Seq); errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil // somebody was faster
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: remove event %d: %w", consumer.EventsStream, m.Seq, err)
	}
	done.Events++
	for _, provider := range addressed(m) {
		info, err := e.consumer(ctx, provider)
		if err != nil {
			return err
		}
		if info != nil && info.Delivered.Stream < m.Seq {
			done.Erased[provider]++
			e.reply(m, provider)
		}
	}
	return nil
}

func (e *Eraser) removeLetters(ctx context.Context, done *Counts, report func(Counts)) error {
	for l, err := range e.letters.Letters(ctx, dlq.Filter{}, dlq.End, dlq.Whole) {
		if err != nil {
			return err
		}
		if !e.person.named(l.Header, l.Body, done) {
			continue
		}
		switch err := e.removeLetter(ctx, l.Seq); {
		case errors.Is(err, dlq.ErrGone):
			continue
		case err != nil:
			return err
		}
		done.Letters++
		report(*done)
	}
	return nil
}

func (e *Eraser) removeLetter(ctx context.Context, seq uint64) error {
	ctx, cancel := dlq.Finishing(ctx)
	defer cancel()
	return e.letters.Erase(ctx, seq)
}

// addressed lists the providers that had something to do with an event. An
// event that is invalid at a provider would have become a letter there.
func addressed(m scan.Message) []string {
	ev, err := event.Decode(m.Data)
	var list []string
	for _, provider := range event.Providers() {
		switch m.Subject {
		case consumer.ProviderSubject(provider):
		case consumer.EventsSubject:
			if err != nil {
				break // it concerns all of them
			}
			if route, err := ev.Route(provider); err == nil && route == event.Skip {
				continue
			}
		default:
			continue
		}
		list = append(list, provider)
	}
	return list
}
