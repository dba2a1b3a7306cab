package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// giveUp is how long the publisher tries to get an event confirmed: longer
// than a cluster needs to find a leader.
const giveUp = time.Minute

const tokenPrefix = "token-"

// makeEvent is the event of a number. One in ten is for CleverTap alone, and
// one for Courier.
func makeEvent(number int) event.Event {
	name := strconv.Itoa(number)
	e := event.Event{ID: name, UserID: "user-" + name, ObjectID: "object-" + name, Token: tokenPrefix + name, Type: "fcm"}
	switch number % 10 {
	case 3:
		e.Destinations = []string{event.CleverTap}
	case 7:
		e.Destinations = []string{event.Courier}
	}
	return e
}

// numberOf reads an event's number from its token; -1 when it is none of ours.
func numberOf(token string) int {
	number, err := strconv.Atoi(strings.TrimPrefix(token, tokenPrefix))
	if err != nil || tokenPrefix+strconv.Itoa(number) != token {
		return -1
	}
	return number
}

// fate is where an event must end at a provider.
type fate struct {
	addressed bool
	code      string // of its letter; empty: delivered
}

func fateOf(number int, provider string) fate {
	e := makeEvent(number)
	if len(e.Destinations) > 0 && e.Destinations[0] != provider {
		return fate{}
	}
	identity := e.ObjectID
	if provider == event.Courier {
		identity = e.UserID
	}
	for _, rule := range refusals() {
		if rule.Concerns(provider, identity, e.Token) {
			return fate{addressed: true, code: letterCode(rule)}
		}
	}
	return fate{addressed: true}
}

// traffic is what was published.
type traffic struct {
	sent      int
	confirmed map[int]bool // by the broker's ack
	failed    []error      // of those that were not
}

// publish sends events until ctx ends, at the rate, and waits for the broker's
// word about each.
func publish(ctx context.Context, js jetstream.JetStream, rate int) (traffic, error) {
	p, err := publisher.New(js, publisher.Settings{MaxPending: 512, GiveUp: giveUp})
	if err != nil {
		return traffic{}, err
	}
	t := traffic{confirmed: map[int]bool{}}
	var pending []*publisher.Pending
	interval := time.Second / time.Duration(rate)
	next := time.NewTimer(0)
	defer next.Stop()
	for began := time.Now(); ; t.sent++ {
		next.Reset(time.Until(began.Add(time.Duration(t.sent) * interval)))
		select {
		case <-next.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		sent, err := p.PublishAsync(ctx, makeEvent(t.sent))
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return t, err
		}
		pending = append(pending, sent)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
	defer cancel()
	if err := p.Close(closing); err != nil {
		return t, err
	}
	for number, sent := range pending {
		if _, err := sent.Wait(closing); err != nil {
			t.failed = append(t.failed, fmt.Errorf("event %d: %w", number, err))
			continue
		}
		t.confirmed[number] = true
	}
	return t, nil
}
