package publisher

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// OutcomeReplyHeader names the inbox that workers report outcomes to.
const OutcomeReplyHeader = "Outcome-Reply"

// Outcome is where an event ended at one provider, as a worker reports it.
type Outcome struct {
	ID        string `json:"id,omitzero"` // the event's, or its message's
	StreamSeq uint64 `json:"stream_seq"`  // the event's place in the stream: Ack.Seq
	Provider  string `json:"provider"`
	Outcome   string `json:"outcome"`         // delivered, dead, skipped or erased
	Code      string `json:"code,omitzero"`   // of a dead one
	Reason    string `json:"reason,omitzero"` // of a dead one, one line
}

// Tell reports o to the inbox that an event's message names, if it names one;
// best effort. Whoever may publish events chooses that name, and who tells
// publishes with rights of its own: so only a literal inbox is honoured.
func (o Outcome) Tell(nc *nats.Conn, inbox string) error {
	if !isInbox(inbox) {
		return nil
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return nc.Publish(inbox, body)
}

func isInbox(subject string) bool {
	return strings.HasPrefix(subject, nats.InboxPrefix) && len(subject) > len(nats.InboxPrefix) && len(subject) <= 256 &&
		!strings.ContainsAny(subject, " \t\r\n*>") && !strings.Contains(subject, "..") && !strings.HasSuffix(subject, ".")
}

// Outcomes receives what workers report. Reports are best effort: nobody
// repeats a lost one, so whoever waits needs a time-out.
type Outcomes struct {
	sub *nats.Subscription
}

// ListenOutcomes subscribes an inbox; pass its Subject to ReportTo. Close it
// when done; it owns no goroutine.
func ListenOutcomes(nc *nats.Conn) (*Outcomes, error) {
	// Not nc.NewInbox: a connection may have another prefix, which workers
	// would not honour.
	sub, err := nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		return nil, fmt.Errorf("publisher: listen for outcomes: %w", err)
	}
	return &Outcomes{sub: sub}, nil
}

// Subject is the inbox.
func (o *Outcomes) Subject() string { return o.sub.Subject }

// Next waits for the next report. What is no report is passed over: anybody
// may write to an inbox.
func (o *Outcomes) Next(ctx context.Context) (Outcome, error) {
	for {
		m, err := o.sub.NextMsgWithContext(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("publisher: wait for outcomes: %w", err)
		}
		var out Outcome
		if json.Unmarshal(m.Data, &out) == nil && out.Provider != "" && out.Outcome != "" {
			return out, nil
		}
	}
}

// Close ends the subscription.
func (o *Outcomes) Close() error { return o.sub.Unsubscribe() }
