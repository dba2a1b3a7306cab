package delivery

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
)

// The codes of letters that no provider gives.
const (
	codeInvalidEvent  = "invalid_event"
	codeInternalError = "internal_error"
	codeExpired       = "expired"
)

// expiryMargin is how long before the stream drops an event it becomes a letter.
const expiryMargin = time.Hour

// intake reads a message once. It returns the item to deliver, or nil when the
// event ended here: skipped, invalid, expired, or to be sent alone.
func (d *Desk) intake(work context.Context, message *consumer.Message) *item {
	if message.Delivered() > 1 {
		d.metrics.redelivery.Inc()
	}
	it := &item{message: message, replayed: message.Subject() == consumer.ProviderSubject(d.name)}
	if d.untilExpiry(it) <= 0 {
		d.expire(work, it)
		return nil
	}
	route, err := d.read(it)
	switch {
	case err != nil:
		d.die(work, it, death{code: err.code, reason: err.reason})
		return nil
	case route == event.Skip:
		d.skip(it)
		return nil
	case message.Delivered() > aloneAfter:
		if !d.lot.park(it, 0) {
			it.message.Nak(parkedFull)
		}
		return nil
	}
	return it
}

// unreadable is why a message became no record.
type unreadable struct {
	code, reason string
}

// read decodes the event and prepares its record. A panic is this record's own.
func (d *Desk) read(it *item) (route event.Route, failed *unreadable) {
	defer func() {
		if p := recover(); p != nil {
			d.logPanic(p)
			failed = &unreadable{codeInternalError, "a panic while the event was read; the stack is in the log"}
		}
	}()
	ev, err := event.Decode(it.message.Data())
	if err != nil {
		return 0, &unreadable{codeInvalidEvent, err.Error()}
	}
	it.record.Event = ev
	if it.replayed {
		route, err = ev.RouteOnly(d.name)
	} else {
		route, err = ev.Route(d.name)
	}
	if err != nil {
		return 0, &unreadable{codeInvalidEvent, err.Error()}
	}
	if route == event.Skip {
		return route, nil
	}
	if it.record, err = d.Provider.Prepare(ev); err != nil {
		return 0, &unreadable{codeInvalidEvent, err.Error()}
	}
	return route, nil
}

// untilExpiry is how long an event may still wait before it becomes a letter.
func (d *Desk) untilExpiry(it *item) time.Duration {
	if d.EventMaxAge == 0 { // a stream that drops nothing
		return math.MaxInt64
	}
	return time.Until(it.message.Stored().Add(d.EventMaxAge - expiryMargin))
}

func (d *Desk) expire(work context.Context, it *item) {
	why := fmt.Sprintf("waited %s; the stream drops events after %s", time.Since(it.message.Stored()).Round(time.Second), d.EventMaxAge)
	if it.answer.Reason != "" {
		why += "; last: " + it.answer.Reason
	}
	d.die(work, it, death{code: codeExpired, reason: why, status: it.answer.Status})
}

// logPanic writes where it happened; the panic's own text may hold data.
func (d *Desk) logPanic(p any) {
	kind := fmt.Sprintf("%T", p)
	d.Log.Error("panic while a record was handled", "kind", kind, "stack", string(debug.Stack()))
}

func recordsOf(items []*item) []providers.Record {
	records := make([]providers.Record, len(items))
	for i, it := range items {
		records[i] = it.record
	}
	return records
}
