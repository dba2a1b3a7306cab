package fleet

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Schedule is how long a provider is left alone: pauses grow from Min to Max.
type Schedule struct {
	Min time.Duration // the first pause
	Max time.Duration // no pause is longer, whatever the provider asks for
}

// jitter spreads the ends of pauses by a fifth to either side, so that what
// failed together does not come back together.
const jitter = 0.2

// Pause is the pause before probe number step (from 0). floor is what the
// provider asked for (Retry-After); it is kept unless it is over Max.
func (s Schedule) Pause(step int, floor time.Duration) time.Duration {
	spacing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(s.Min), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(s.Max), backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(jitter))
	pause := spacing.NextBackOff()
	for ; step > 0; step-- {
		pause = spacing.NextBackOff()
	}
	return min(max(pause, floor), s.Max)
}
