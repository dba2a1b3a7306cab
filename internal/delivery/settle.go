package delivery

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// death is why an event becomes a letter.
type death struct {
	code   string
	reason string
	status int // HTTP; 0 when none
}

// settle ends the records of an answered call: those it names die, or are
// tried again when the provider's word is not believed yet; all others were
// accepted, unless the whole call was refused: then they are open. Those named
// are accused only when the provider refuses everything.
func (d *Desk) settle(work context.Context, items []*item, answer providers.Answer) (accused, open []*item) {
	refusals := answer.Refusals
	for i, it := range items {
		if len(refusals) == 0 || refusals[0].Index != i {
			if answer.Result == providers.Refused {
				open = append(open, it)
			} else {
				d.deliver(it)
			}
			continue
		}
		refusal := refusals[0]
		refusals = refusals[1:]
		if it.disbelief < refusal.Again {
			it.disbelief++
			d.park(it)
			continue
		}
		if !d.believes(it, answer, len(items)) {
			it.failNamed(refusal, answer.Status)
			accused = append(accused, it)
			continue
		}
		d.die(work, it, death{code: refusal.Code, reason: refusal.Reason, status: answer.Status})
	}
	return accused, open
}

// believes says whether a record dies of a refusal by name. An answer that
// accepts others speaks for the provider, and a replay is an operator's
// question: neither counts.
func (d *Desk) believes(it *item, answer providers.Answer, records int) bool {
	return it.replayed || acceptedOf(answer, records) > 0 || d.evidence.believe()
}

// named counts the records that an answer refuses by name and that would count
// against the provider.
func named(items []*item, answer providers.Answer) (n int) {
	if acceptedOf(answer, len(items)) > 0 {
		return 0
	}
	for _, refusal := range answer.Refusals {
		if it := items[refusal.Index]; !it.replayed && it.disbelief >= refusal.Again {
			n++
		}
	}
	return n
}

func (d *Desk) deliver(it *item) {
	it.message.Ack()
	registered, given := it.record.Event.Registered()
	if !given {
		registered = it.message.Stored()
	}
	d.metrics.accepted(time.Since(registered), it.replayed)
	d.reply(it, outcomeDelivered, death{})
}

func (d *Desk) skip(it *item) {
	it.message.Ack()
	d.metrics.events[outcomeSkipped].Inc()
	d.reply(it, outcomeSkipped, death{})
}

// die stores the letter and acknowledges the event only then. The letter is
// stored beside the sender, which goes on; when too many are waiting to be
// stored the sender waits, too.
func (d *Desk) die(work context.Context, it *item, why death) {
	if !d.placeForLetter(work) {
		it.message.Nak(giveBackDelay)
		return
	}
	d.storing.Go(func() {
		defer func() { <-d.letters }()
		if !d.store(work, it, why) {
			it.message.Nak(giveBackDelay)
			return
		}
		it.message.Ack()
		d.metrics.died(why.code)
		d.died.add(why, it.message.Seq())
		d.reply(it, outcomeDead, why)
	})
}

// store tries until the letter is confirmed. After a stop it tries no more
// than once: the event comes again.
func (d *Desk) store(work context.Context, it *item, why death) bool {
	letter := &dlq.Letter{
		Provider: d.name, Code: why.code, Reason: why.reason, Status: why.status, FailedAt: time.Now(),
		Body: it.message.Data(), Header: it.message.Headers(), Replayed: it.replayed,
		OriginStream: consumer.EventsStream, StreamCreated: it.message.StreamCreated(), OriginSeq: it.message.Seq(),
	}
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	err := backoff.RetryNotify(func() error { return d.Letters.Put(work, letter) },
		backoff.WithContext(spacing, d.stop),
		func(err error, _ time.Duration) {
			d.metrics.letterFail.Inc()
			d.warnOfLetters(err)
		})
	return err == nil
}

// warnEvery is how often letters that cannot be stored are spoken of.
const warnEvery = 10 * time.Second

// warnOfLetters says once in a while what may concern many letters at once.
func (d *Desk) warnOfLetters(err error) {
	last, now := d.warned.Load(), time.Now().UnixNano()
	if now-last >= int64(warnEvery) && d.warned.CompareAndSwap(last, now) {
		d.Log.Warn("letters cannot be stored; their events wait", "waiting", len(d.letters), "err", err)
	}
}

// reply tells who asked what became of the event; best effort.
func (d *Desk) reply(it *item, outcome string, why death) {
	inbox := it.message.Header(publisher.OutcomeReplyHeader)
	if inbox == "" {
		return
	}
	id := it.message.Header("Nats-Msg-Id")
	if it.record.Event != nil && it.record.Event.ID != "" {
		id = it.record.Event.ID
	}
	code := why.code
	if code != "" {
		code = dlq.Code(code)
	}
	err := publisher.Outcome{ID: id, StreamSeq: it.message.Seq(), Provider: d.name, Outcome: outcome, Code: code, Reason: why.reason}.Tell(d.Conn, inbox)
	if err != nil {
		d.Log.Debug("outcome reply not sent", "err", err)
	}
}
