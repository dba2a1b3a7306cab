// Package erase removes a person from the events' and the letters' stream, and
// from their disks.
//
// It knows which messages name a person and which of the events had not been
// handed to any worker yet: these end as `erased`. It refuses to know what
// became of the others. It owns no goroutine.
package erase

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// named reports whether a message names the person.
func (p Person) named(body []byte) bool {
	return p.User != "" && dlq.Names(body, "", p.User, "") || p.Object != "" && dlq.Names(body, "", "", p.Object)
}

// Counts is what was found, or removed.
type Counts struct {
	Letters int
	Events  int            // in the events' stream, whatever became of them
	Erased  map[string]int // of these, by provider: it had not got them, and now never will
	Counted map[string]int // of the erased, by provider: a worker has them in its metrics
	InHand  map[string]int // of the events, by provider: a worker has them and may still deliver them
}

// Eraser removes one person.
type Eraser struct {
	js      jetstream.JetStream
	letters *dlq.Reader
	events  jetstream.Stream
	person  Person

	// Patience is how long Remove waits for what is in a worker's hands.
	Patience time.Duration
}

// New finds the streams.
func New(ctx context.Context, js jetstream.JetStream, letters *dlq.Reader, person Person) (*Eraser, error) {
	if person == (Person{}) {
		return nil, errors.New("erase: nobody named")
	}
	events, err := js.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", consumer.EventsStream, err)
	}
	return &Eraser{js: js, letters: letters, events: events, person: person, Patience: 10 * time.Second}, nil
}

// Look counts what is stored of the person and changes nothing.
func (e *Eraser) Look(ctx context.Context) (Counts, error) {
	var found Counts
	for m, err := range scan.Messages(ctx, e.js, scan.Range{Stream: consumer.EventsStream}) {
		if err != nil {
			return found, err
		}
		if e.person.named(m.Data) {
			found.Events++
		}
	}
	for l, err := range e.letters.Letters(ctx, dlq.Filter{}, 0, dlq.Whole) {
		if err != nil {
			return found, err
		}
		if e.person.named(l.Body) {
			found.Letters++
		}
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
	err := e.removeEvents(ctx, &done, report)
	e.tellWorkers(context.WithoutCancel(ctx), &done) // what is erased is, also when the rest fails
	if err != nil {
		return done, err
	}
	return done, e.removeLetters(ctx, &done, report)
}

// removeEvents removes what no worker has in hand at once. What one has, it
// waits for: after a removal nobody can tell whether a letter will follow.
func (e *Eraser) removeEvents(ctx context.Context, done *Counts, report func(Counts)) error {
	var inHand []scan.Message
	for m, err := range scan.Messages(ctx, e.js, scan.Range{Stream: consumer.EventsStream}) {
		if err != nil {
			return err
		}
		if !e.person.named(m.Data) {
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
	for l, err := range e.letters.Letters(ctx, dlq.Filter{}, 0, dlq.Whole) {
		if err != nil {
			return err
		}
		if !e.person.named(l.Body) {
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
