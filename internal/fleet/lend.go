package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// lendSubject is where a borrower asks. It is heard by every pod, and only the
// one that holds the highest number acts on it.
func lendSubject(provider string) string { return "tokenrelay.permits." + provider + ".lend" }

// Lend listens for borrowers until ctx ends: commands that need one call and
// leave again, while the pods keep all permits to themselves.
func (p *Permits) Lend(ctx context.Context) error {
	asked, err := p.Board.JS.Conn().Subscribe(lendSubject(p.Provider), func(m *nats.Msg) { p.asked(string(m.Data)) })
	if err != nil {
		return err
	}
	<-ctx.Done()
	return asked.Unsubscribe()
}

// asked marks our permit for the borrower when it is the fleet's highest.
func (p *Permits) asked(borrower string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for number := maxCap - 1; number >= 0; number-- {
		rec, _ := p.Board.look(permitKey(p.Provider, number))
		switch standing, present := decodePermit(rec); {
		case present && standing.Reserved == borrower:
			return // another pod has heard it, too, and was faster
		case !present || standing.Holder == "" || standing.Holder == nobody || standing.expired(rec):
			continue // who would have to act is not there
		}
		if permit, ours := p.held[number]; ours {
			permit.mu.Lock()
			defer permit.mu.Unlock()
			if permit.lend == "" {
				permit.lend = borrower
				close(permit.wanted)
			}
		}
		return // the highest is another pod's: that one acts
	}
}

// maxCap is the most calls that CleverTap allows any account
// (developer.clevertap.com/docs/api-request-limit).
const maxCap = 15

// askEvery is how often a borrower asks: the one that heard it may have died,
// or lent its permit to another borrower.
const askEvery = time.Second

// Borrow takes a permit for a command: a free one, or one that a pod lends. It
// is given back like any other. It does not wait where none can be taken.
func (p *Permits) Borrow(ctx context.Context) (*Permit, error) {
	asking, stop := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer stop()
	number, _, at, _ := p.next(fillsToBorrow)
	asked.Go(func() {
		// One that is free may be gone before we have it.
		if number < 0 || time.Until(at) > 0 || waitFor(asking, nil, askEvery/4) == nil {
			p.ask(asking)
		}
	})
	return p.take(ctx, fillsToBorrow, func(err error) error { return err })
}

// fillsToBorrow: a borrower knows little of the fleet's cap, and leaves again.
// What it puts in place above the cap would stand there for ever.
const fillsToBorrow = 1

func (p *Permits) ask(ctx context.Context) {
	for {
		if err := p.Board.JS.Conn().Publish(lendSubject(p.Provider), []byte(p.Self)); err != nil {
			p.Log.Debug("no permit could be asked for", "err", err)
		}
		if waitFor(ctx, nil, askEvery) != nil {
			return
		}
	}
}
