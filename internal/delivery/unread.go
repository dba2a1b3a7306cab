package delivery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
)

// buryUnread makes letters of what the stream holds on subjects that nobody
// reads, once: there it would lie unseen until the stream drops it. It tries
// until all of them are stored, or the desk stops.
func (d *Desk) buryUnread(stop context.Context) {
	bury := func(u consumer.Unread) error {
		why := death{code: codeInvalidEvent, reason: fmt.Sprintf("subject: %q is read by nobody; want one of %s", u.Subject, strings.Join(consumer.Subjects(), ", "))}
		err := d.Letters.Put(stop, &dlq.Letter{
			Provider: d.name, Code: why.code, Reason: why.reason, FailedAt: time.Now(), Body: u.Data, Header: u.Headers,
			OriginStream: consumer.EventsStream, StreamCreated: u.StreamCreated, OriginSeq: u.Seq,
		})
		if err != nil {
			d.metrics.letterFail.Inc()
			return err
		}
		d.metrics.died(why.code)
		d.died.add(why, u.Seq)
		return nil
	}
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(time.Second),
		backoff.WithMaxInterval(time.Minute), backoff.WithMaxElapsedTime(0))
	_ = backoff.RetryNotify(func() error { return d.Consumer.EachUnread(stop, bury) }, backoff.WithContext(spacing, stop),
		func(err error, _ time.Duration) {
			d.Log.Warn("events on subjects that nobody reads cannot be made letters yet", "err", err)
		})
}
