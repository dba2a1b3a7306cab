package delivery

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// countErased counts the events that an operator erased while they waited.
// They never reached a desk, so whoever erases asks one pod of the fleet to
// count them.
func (d *Desk) countErased(stop context.Context) {
	asked, err := d.Conn.QueueSubscribe(dlq.ErasedSubject(d.name), "workers", func(m *nats.Msg) {
		n, err := strconv.ParseUint(string(m.Data), 10, 31)
		if err != nil {
			return
		}
		d.metrics.events[outcomeErased].Add(float64(n))
		_ = m.Respond(nil) // who did not hear it tells the number itself
	})
	if err != nil {
		d.Log.Warn("erased events will not be counted here", "err", err)
		return
	}
	<-stop.Done()
	_ = asked.Unsubscribe() // fails only with the connection, which ends it too
}
