package app

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// tryRights tries those rights that a worker needs only when events flow. Each
// with a message that the broker, when it lets it pass, drops for another
// reason: nothing changes.
func (c *checker) tryRights(ctx context.Context) {
	missing := map[rights.Right]bool{}
	for _, provider := range c.settings.Providers.Names {
		for _, try := range harmless(provider) {
			if err := c.conn.PublishMsg(try); err != nil {
				c.say(broken("rights: %v", err))
				return
			}
			// A refusal comes before the flush's answer.
			if err := c.conn.FlushWithContext(ctx); err != nil {
				c.say(broken("rights: %v", err))
				return
			}
			wanted := rights.Right{Verb: "publish", Subject: rights.Subject(try.Subject)}
			refused := rights.RefusalOf(c.conn.LastError())
			if refused == nil || refused.Right != wanted || missing[wanted] {
				continue
			}
			missing[wanted] = true
			c.mute = c.mute || strings.HasPrefix(try.Subject, "$KV.")
			c.say(broken("%v", refused))
		}
	}
	if len(missing) == 0 {
		c.say(fine("rights: to pull, to acknowledge, to store letters and to change the fleet's state"))
	}
}

// harmless are messages that need a worker's rights and do nothing.
func harmless(provider string) []*nats.Msg {
	elsewhere := nats.Header{jetstream.ExpectedStreamHeader: {"none"}} // no stream takes it
	return []*nats.Msg{
		{Subject: "$JS.API.CONSUMER.MSG.NEXT." + consumer.EventsStream + "." + provider, Data: []byte("{")}, // cannot be read
		{Subject: "$JS.ACK." + consumer.EventsStream + "." + provider + ".0.0.0.0.0", Data: []byte("+WPI")}, // of no message
		{Subject: consumer.LettersSubject + "." + provider + ".other", Header: elsewhere},
		{Subject: "$KV." + consumer.FleetBucket + ".hold." + provider, Header: elsewhere},
	}
}
