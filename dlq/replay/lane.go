package replay

import (
	"errors"
	"slices"
	"sync"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// lane is one provider's part of a run: the trials of its groups, then the rest.
// The lanes go side by side, since one may be held, or have live events to
// yield to.
type lane struct {
	*run
	provider string
	pace     *pace
	sending  sync.WaitGroup
}

// goAll replays what each provider's trials, or the wish for none, allow.
func (r *run) goAll() {
	var lanes sync.WaitGroup
	for _, provider := range r.names {
		n := &lane{run: r, provider: provider, pace: r.paces[provider]}
		lanes.Go(func() {
			n.try()
			n.feed()
			n.sending.Wait()
		})
	}
	lanes.Wait()
}

// feed replays group by group what may go.
func (n *lane) feed() {
	filter := n.options.Filter
	filter.Provider, filter.Limit = n.provider, 0 // the plan knows who is chosen
	if !n.goesOn() {
		return
	}
	n.phase.Store(Replaying)
	for l, err := range n.letters.Letters(n.soft, filter, n.extent.Last, dlq.Whole) {
		if err != nil {
			if n.soft.Err() == nil {
				n.fail(err)
			}
			return
		}
		e, found := n.at(l.Seq)
		if !found || !n.mayGo(int(e.group)) {
			continue
		}
		if !n.isPlanned(e, l) {
			n.fail(anew(dlq.Stream))
			return
		}
		if err := n.pace.enter(n.soft, int(e.group), false); err != nil {
			if errors.Is(err, errUnanswered) {
				n.giveUp()
			}
			return
		}
		if !n.mayGo(int(e.group)) { // it was stopped while this one waited
			n.pace.leave(int(e.group), false)
			continue
		}
		n.send(e, l, false)
	}
}

// giveUp leaves what would still go.
func (n *lane) giveUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.entries {
		e := &n.entries[i]
		if e.goes() && n.Groups[e.group].Provider == n.provider && n.mayGo(int(e.group)) {
			e.leave(Unanswered)
		}
	}
}

// goesOn reports whether any group has letters to go.
func (n *lane) goesOn() bool {
	may := make([]bool, len(n.Groups))
	for i, g := range n.Groups {
		may[i] = g.Provider == n.provider && n.mayGo(i)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.entries, func(e entry) bool { return may[e.group] && e.goes() })
}
