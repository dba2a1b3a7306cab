package fleet

import "context"

// Permits are the rights to have one call open, numbered from 0. They are
// this process's own: it bounds itself, not the fleet.
type Permits struct {
	free chan int
}

// Permit is one such right, held by one sender until it is given back.
type Permit struct {
	number int
	from   *Permits
}

// NewPermits makes n permits.
func NewPermits(n int) *Permits {
	permits := &Permits{free: make(chan int, n)}
	for number := range n {
		permits.free <- number
	}
	return permits
}

// Take waits for a permit; the error is ctx's.
func (p *Permits) Take(ctx context.Context) (*Permit, error) {
	select {
	case number := <-p.free:
		return &Permit{number: number, from: p}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Number is the sender's place: a trickle of events goes to the lowest.
func (p *Permit) Number() int { return p.number }

// GiveBack frees the permit for the next sender. It must be called once.
func (p *Permit) GiveBack() { p.from.free <- p.number }
