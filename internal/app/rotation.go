package app

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
)

// follow lets a provider's calls carry what the file of its passcode or key
// says now.
func (w *Worker) follow(ctx context.Context, provider account, holds *fleet.Holds) {
	secret := secretOf(provider.Name(), w.settings.Providers)
	file := secret.File()
	if file == nil {
		return
	}
	w.files.Add(file, func() {
		if err := provider.Renew(secret.Reveal()); err != nil {
			w.log.Warn("a new passcode or key cannot be used; the former one stays in use", "provider", provider.Name(), "err", err)
			return
		}
		w.helpers.Go(func() { w.tryAgain(ctx, provider.Name(), holds) })
	})
}

// tryAgain does not wait out a hold that the former passcode or key led to. A
// call that was open at the change may still begin or lengthen such a hold, so
// there is a second look when none can be open any more.
func (w *Worker) tryAgain(ctx context.Context, provider string, holds *fleet.Holds) {
	for _, wait := range []time.Duration{0, w.settings.Delivery.HTTPTimeout} {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		spacing := backoff.NewExponentialBackOff(backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
		_ = backoff.RetryNotify( // it ends with ctx only
			func() error { return holds.Hasten(ctx, provider, string(providers.Unauthorized)) },
			backoff.WithContext(spacing, ctx),
			func(err error, _ time.Duration) {
				w.log.Debug("the next probe of a held provider is not hastened yet", "provider", provider, "err", err)
			})
	}
}

// secretOf is the part of a provider's credentials that can be rotated.
func secretOf(provider string, s config.Providers) config.Secret {
	if provider == event.CleverTap {
		return s.CleverTap.Passcode
	}
	return s.Courier.APIKey
}
