package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/delivery"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/internal/ops"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
	"github.com/tokenrelay/tokenrelay/providers/courier"
)

// Topology is what the settings want of streams, consumers and the bucket.
func Topology(s config.Worker, force bool) consumer.Topology {
	return consumer.Topology{
		Replicas: s.Streams.Replicas, ReplicasSet: s.Streams.Given.Replicas,
		MaxAge: s.Streams.MaxAge, MaxAgeSet: s.Streams.Given.MaxAge,
		LettersMaxAge: s.Streams.DLQMaxAge, LettersMaxAgeSet: s.Streams.Given.DLQMaxAge,
		Provision: s.Streams.Provision, Force: force, Providers: s.Providers.Names,
	}
}

// account is a provider whose passcode or key can be rotated.
type account interface {
	providers.Provider
	// Renew puts another passcode or key to use, from the next call on. Its
	// error says why no call could carry it; the former one then stays in use.
	Renew(secret string) error
}

func newAccount(name string, s config.Worker) (account, error) {
	switch name {
	case event.CleverTap:
		return NewCleverTap(s)
	case event.Courier:
		return courier.New(courier.Settings{
			APIKey: s.Providers.Courier.APIKey.Reveal(), Region: s.Providers.Courier.Region, BaseURL: s.Providers.Courier.BaseURL,
			BodyToken: s.Providers.Courier.BodyToken, MaxConcurrent: s.Providers.Courier.MaxConcurrent,
			Timeout: s.Delivery.HTTPTimeout, MaxRetryAfter: s.Delivery.HoldMax,
		})
	}
	return nil, fmt.Errorf("PROVIDERS: %q is none of clevertap, courier", name)
}

// NewCleverTap is CleverTap as the settings have it.
func NewCleverTap(s config.Worker) (*clevertap.Client, error) {
	return clevertap.New(clevertap.Settings{
		AccountID: s.Providers.CleverTap.AccountID, Passcode: s.Providers.CleverTap.Passcode.Reveal(),
		Region: s.Providers.CleverTap.Region, BaseURL: s.Providers.CleverTap.BaseURL,
		MaxRecords: s.Providers.CleverTap.BatchSize, Timeout: s.Delivery.HTTPTimeout, MaxRetryAfter: s.Delivery.HoldMax,
	})
}

// deskSettings adds what differs by provider: CleverTap has a permit a sender
// and one call open each, Courier one sender with many calls.
func (w *Worker) deskSettings(helping context.Context, name string, s delivery.Settings) delivery.Settings {
	if name == event.CleverTap {
		clever := w.settings.Providers.CleverTap
		s.Permits, s.Senders, s.Calls = newPermits(w.board, w.self, w.settings, w.log), clever.MaxConcurrent, 1
		w.readiness.SetTrouble(func() string {
			if err := s.Permits.Unable(); err != nil {
				return fmt.Sprintf("%s: no permit can be taken: %v", name, err)
			}
			return ""
		})
		w.helpers.Go(func() {
			if err := s.Permits.Lend(helping); err != nil {
				w.log.Warn("permits cannot be lent to commands", "err", err)
			}
		})
		s.BatchWait = clever.BatchWait
		return s
	}
	s.Calls = w.settings.Providers.Courier.MaxConcurrent
	return s
}

// newPermits takes part in the account's permits under the given name.
func newPermits(board *fleet.Board, self string, s config.Worker, log *slog.Logger) *fleet.Permits {
	return fleet.NewPermits(fleet.PermitSettings{
		Board: board, Provider: event.CleverTap, Cap: s.Providers.CleverTap.MaxConcurrent, Self: self,
		Lease: s.Delivery.PermitLease, Renewal: s.Delivery.Renewal(), Call: s.Delivery.HTTPTimeout, Log: log,
	})
}

// delivered tells a fleet at its beginning from one whose bucket was wiped:
// CleverTap's consumer has handed out nothing yet.
func delivered(js jetstream.JetStream) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		cons, err := js.Consumer(ctx, consumer.EventsStream, event.CleverTap)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return cons.CachedInfo().Delivered.Consumer > 0, nil
	}
}

// figures asks the broker for what waits and what died, of the whole fleet.
func figures(events *consumer.Consumer, js jetstream.JetStream, provider string) ops.Source {
	return func(ctx context.Context) (ops.Figure, error) {
		backlog, err := events.Pending(ctx)
		if err != nil {
			return ops.Figure{}, err
		}
		letters, err := dlq.Look(ctx, js, provider)
		if errors.Is(err, jetstream.ErrStreamNotFound) { // no stream, no letters; what waits is known all the same
			err = nil
		}
		return ops.Figure{
			Pending: uint64(backlog.Pending), Oldest: backlog.Oldest, MaxAge: events.MaxAge(),
			Letters: letters.Letters, OldestLetter: letters.Oldest, LettersMaxAge: letters.MaxAge,
		}, err
	}
}

// heldGauge shows whether a provider is held, a series a reason, so that an
// alarm can tell what to mend from what to wait for.
type heldGauge struct {
	desc     *prometheus.Desc
	holds    *fleet.Holds
	provider string
}

func newHeldGauge(holds *fleet.Holds, provider string) heldGauge {
	name := prometheus.BuildFQName(ops.Namespace, "", "provider_held")
	return heldGauge{
		desc:  prometheus.NewDesc(name, "1 while the provider is held for that reason.", []string{"reason"}, prometheus.Labels{"provider": provider}),
		holds: holds, provider: provider,
	}
}

// Describe is prometheus's question before the first scrape.
func (g heldGauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

// Collect is prometheus's question at each scrape. It looks once, so that no
// two reasons are shown when the reason changes meanwhile.
func (g heldGauge) Collect(ch chan<- prometheus.Metric) {
	state := g.holds.State(g.provider)
	for _, reason := range delivery.HoldReasons() {
		value := 0.0
		if state.Held && state.Hold.Reason == reason {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, reason)
	}
}

func readinessHolds(holds *fleet.Holds, names []string) []ops.Hold {
	var list []ops.Hold
	for _, name := range names {
		if state := holds.State(name); state.Held {
			list = append(list, ops.Hold{Provider: name, Reason: state.Hold.Reason, Since: state.Hold.Since, Until: state.Hold.Until})
		}
	}
	return list
}
