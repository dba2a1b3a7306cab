package delivery

import (
	"context"
	"time"
)

// sendWithPermits takes a permit first and pulls only then, so that no pod
// hoards what it cannot send. A permit is kept while there is work and while
// there is none, until it is lost, asked for, of no use since letters cannot be
// stored, or the desk stops.
func (d *Desk) sendWithPermits(stop, work context.Context) {
	for {
		d.awaitPlace(stop)
		permit, err := d.Permits.Take(stop)
		if err != nil {
			return
		}
		d.metrics.permits.Inc()
		sending, end := context.WithCancel(stop)
		go func() {
			select {
			case <-permit.Lost():
			case <-permit.Wanted():
			case <-d.jam.on():
			case <-sending.Done():
			}
			end()
		}()
		s := &sender{Desk: d, permit: permit, stop: sending, work: work, leave: end, silence: d.silent.Load()}
		s.run()
		end()
		permit.GiveBack(context.WithoutCancel(work))
		d.metrics.permits.Dec()
		if d.silent.Load() > s.silence { // whoever waits for a permit comes first
			d.pauseUntil(stop, stepAsideFor)
		}
	}
}

// stepAsideFor is how long a pod with a line that seems dead leaves the
// permits to others; a pod that waits for one has it within milliseconds.
const stepAsideFor = 2 * time.Second

// stepsAside lets go of the permit when it is time to; then it reports true.
func (s *sender) stepsAside() bool {
	silent := s.silent.Load()
	if s.leave == nil || silent <= s.silence || !stepAside(silent) {
		return false
	}
	s.Log.Warn("no answer to any probe of this pod: others may try", "probes", silent)
	s.leave()
	return true
}

// stepAside is for the pod that has the permits and whose probes get no answer
// at all: its own line may be broken, and no other pod can probe. It lets go of
// them at the third such probe, and ever more rarely after that, since what it
// gives back counts as delivered once more.
func stepAside(silent int64) bool {
	times := silent / 3
	return times > 0 && silent%3 == 0 && times&(times-1) == 0
}
