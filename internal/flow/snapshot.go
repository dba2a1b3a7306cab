// Package flow is the flow at a glance: what the workers announce of
// themselves every two seconds, added up beside what the broker says of the
// whole fleet, for whoever draws it.
//
// It knows announcements, and whom to ask for what waits and for what holds;
// it refuses to know how anything of it is drawn, and what an event says.
// Watch.Run and Announcer.Run own their goroutines and end with their context.
package flow

import (
	"slices"
	"time"
)

// Snapshot is what a Watch knows at one moment.
type Snapshot struct {
	At, Since time.Time  // of this snapshot; of the watch's beginning, from which counts and plots count
	Away      string     // non-empty: the broker cannot be asked, one plain line; the last known figures then stand
	Deaf      bool       // the broker does not let us hear the workers, who may be there all the same
	Providers []Provider // in the order of event.Providers, always all of them
}

// Provider is the flow to one provider, over all pods. While the broker is
// away its last known figures stand, and only Oldest goes on.
type Provider struct {
	Name            string
	Pods            int           // workers that serve it: announced within the last three rounds
	Served          bool          // somebody takes its events, announced or not: see consumer.Backlog
	Known           bool          // Waiting and Oldest are known; false: no consumer yet, or the broker never answered
	Waiting         uint64        // events not acknowledged, those handed out included
	Oldest          time.Duration // how long the oldest has waited; 0 when none waits
	PausedUntil     time.Time     // an operator paused the consumer until then; zero: not paused
	Letters         uint64
	LettersKnown    bool    // false: the broker never said how many; a stream that is missing has none, which is known
	Rate            float64 // deliveries a second over the last ten seconds or so; finite, never negative
	Delivered, Dead uint64  // since Since
	OpenCalls       int
	Permits         []Permit // held ones, by number; only CleverTap has any
	PermitCap       int      // the largest that a worker told; 0: none has
	Hold            *Hold    // nil: not held
	Plot            []Point  // oldest first, at most 60, evenly spaced from Since to now; their sums are Delivered and Dead
}

// Permit is the right to have one call open, as a pod holds it.
type Permit struct {
	Number int
	Holder string // the pod
	Since  time.Time
}

// Hold is a provider set aside for a while.
type Hold struct {
	Reason, Detail string    // why, in one word; the answer that led to it
	Since, Until   time.Time // when it began; when the next probe may go
	Probing        bool      // a pod is trying the provider now
}

// Point is what ended within one step of a plot.
type Point struct{ Delivered, Dead uint64 }

// clone shares nothing with s.
func (s Snapshot) clone() Snapshot {
	s.Providers = slices.Clone(s.Providers)
	for i := range s.Providers {
		p := &s.Providers[i]
		p.Permits, p.Plot = slices.Clone(p.Permits), slices.Clone(p.Plot)
		if p.Hold != nil {
			hold := *p.Hold
			p.Hold = &hold
		}
	}
	return s
}
