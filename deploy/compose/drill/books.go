package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// settling is how long all that came before the end of a fault may take: what a
// worker had in hand when it was killed comes again after the ack wait, a minute.
const settling = 3 * time.Minute

// fault is what happens to a stack.
type fault struct {
	name    string
	harm    func(context.Context) error
	orderly bool // nothing that was answered may be sent again
}

// suffer lets one fault after the other happen and takes the books after each, and
// once more when nobody publishes any longer.
func (d *drill) suffer(ctx context.Context, w *watch, faults ...fault) error {
	for _, f := range faults {
		if err := f.harm(ctx); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := d.balance(ctx, w, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	w.traffic.stop()
	return d.balance(ctx, w, fault{name: "in the end"})
}

// balance waits until all that is in the stream by now is settled, and holds what
// came out against what went in. It prints the figures.
func (d *drill) balance(ctx context.Context, w *watch, f fault) error {
	over := time.Now()
	var place uint64
	if err := until(ctx, time.Minute, "an answer of the broker", func() (_ bool, err error) {
		place, err = w.last(ctx, eventStream)
		return true, err
	}); err != nil {
		return err
	}
	if err := until(ctx, settling, "every event is settled", func() (bool, error) { return w.settled(ctx, place) }); err != nil {
		return err
	}
	took := time.Since(over)
	confirmed := w.traffic.tokens()
	if err := until(ctx, time.Minute, "the books can be read", func() (bool, error) { return true, w.look(ctx) }); err != nil {
		return err
	}
	report, err := w.report(ctx)
	if err != nil {
		return err
	}
	all, problems := w.ledger.audit(place, confirmed)
	repeated := all[event.CleverTap].repeated + all[event.Courier].repeated
	refused := report.CleverTap.Statuses["429"] + report.Courier.Statuses["429"]
	if peak := report.CleverTap.PeakOpen; peak > callCap {
		problems = append(problems, fmt.Sprintf("%d CleverTap calls were open at once", peak))
	}
	if refused > 0 {
		problems = append(problems, fmt.Sprintf("%d calls were answered 429", refused))
	}
	if forgotten := report.CleverTap.Forgotten + report.Courier.Forgotten; forgotten > 0 {
		problems = append(problems, fmt.Sprintf("the sandbox has forgotten %d records", forgotten))
	}
	if again := repeated - w.repeated; f.orderly && again > 0 {
		problems = append(problems, fmt.Sprintf("%d records were sent again", again))
	}
	line := func(provider string) string {
		s := all[provider]
		return fmt.Sprintf("%s %d delivered + %d dead + %d skipped", provider, s.delivered, s.dead, s.skipped)
	}
	d.say("%-34s settled after %5.1fs; %6d events: %s; %s; %d new repeats; peak %d of %d, %d answered 429", f.name, took.Seconds(),
		place, line(event.CleverTap), line(event.Courier), repeated-w.repeated, report.CleverTap.PeakOpen, callCap, refused)
	w.repeated = repeated
	if len(problems) > 0 {
		return fmt.Errorf("the books do not balance:\n  %s", strings.Join(problems, "\n  "))
	}
	return nil
}
