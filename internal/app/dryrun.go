package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
)

// DryRun asks CleverTap which events it would take, without storing any. Each
// call is made under a permit that the fleet lends for it.
type DryRun struct {
	client   *clevertap.Client
	permits  *fleet.Permits
	settings config.Worker
	end      func()

	accepted bool // anything, ever
	refused  int  // calls without a name in a row
}

// Judgement is CleverTap's word on one event; an empty code: it would take it.
type Judgement struct {
	Code   string
	Reason string
}

// OpenDryRun needs the fleet's state, for the permits. Close ends it.
func OpenDryRun(ctx context.Context, settings config.Worker, js jetstream.JetStream) (*DryRun, error) {
	client, err := NewCleverTap(settings)
	if err != nil {
		return nil, err
	}
	loading, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	board, end, err := watchBoard(ctx, loading, js, newRefusals(slog.New(slog.DiscardHandler)))
	if err != nil {
		client.Close()
		return nil, err
	}
	return &DryRun{
		client: client, permits: newPermits(board, podName()+"-dryrun", settings, slog.New(slog.DiscardHandler)),
		settings: settings, end: end,
	}, nil
}

// Close lets go of the fleet and of the provider's connections.
func (d *DryRun) Close() {
	d.client.Close()
	d.end()
}

// Ask has a judgement for each event, or an error that says why CleverTap
// cannot be asked now. A call that is refused without naming a record is
// split.
func (d *DryRun) Ask(ctx context.Context, events []*event.Event) ([]Judgement, error) {
	judgements := make([]Judgement, len(events))
	var records []providers.Record
	var of []int // the records' events
	for i, ev := range events {
		record, err := d.client.Prepare(ev)
		if err != nil {
			judgements[i] = Judgement{"invalid_event", err.Error()}
			continue
		}
		records, of = append(records, record), append(of, i)
	}
	for len(records) > 0 {
		n := min(len(records), d.client.MaxRecords())
		if err := d.ask(ctx, records[:n], of[:n], judgements); err != nil {
			return nil, err
		}
		records, of = records[n:], of[n:]
	}
	return judgements, nil
}

func (d *DryRun) ask(ctx context.Context, records []providers.Record, of []int, judgements []Judgement) error {
	answer, err := d.call(ctx, records)
	if err != nil {
		return err
	}
	switch answer.Result {
	case providers.OK, providers.Partial:
		d.accepted, d.refused = true, 0
	case providers.Refused, providers.Ambiguous:
	default:
		return errors.New(line(answer))
	}
	if len(answer.Refusals) > 0 || answer.Result == providers.OK {
		for _, refusal := range answer.Refusals {
			judgements[of[refusal.Index]] = Judgement{refusal.Code, refusal.Reason}
		}
		return nil
	}
	if d.refused++; d.refused >= 10 && !d.accepted {
		return errors.New("it refuses whatever it is asked: " + line(answer))
	}
	if len(records) == 1 {
		judgements[of[0]] = Judgement{answer.Code, answer.Reason}
		return nil
	}
	middle := len(records) / 2
	if err := d.ask(ctx, records[:middle], of[:middle], judgements); err != nil {
		return err
	}
	return d.ask(ctx, records[middle:], of[middle:], judgements)
}

func line(a providers.Answer) string {
	if a.Hint == "" {
		return fmt.Sprintf("%s: %s", a.Result, a.Reason)
	}
	return fmt.Sprintf("%s: %s; %s", a.Result, a.Reason, a.Hint)
}

// call makes one call under a borrowed permit.
func (d *DryRun) call(ctx context.Context, records []providers.Record) (providers.Answer, error) {
	patience := d.settings.Delivery.PermitLease + checkTimeout
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	permit, err := d.permits.Borrow(waiting)
	if err != nil {
		if ctx.Err() != nil {
			return providers.Answer{}, context.Cause(ctx)
		}
		return providers.Answer{}, fmt.Errorf("no permit for the call came free within %s", patience)
	}
	defer permit.GiveBack(context.WithoutCancel(ctx))
	until, ok := permit.Await(waiting)
	if !ok {
		return providers.Answer{}, errors.New("the permit for the call was lost")
	}
	covered, end := context.WithDeadline(ctx, until)
	defer end()
	return d.client.DryRun(covered, records), nil
}
