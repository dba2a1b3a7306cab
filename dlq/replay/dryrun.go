package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// Answer is a provider's word on one event, asked without storing it.
type Answer struct {
	Code   string // why it would not take it; empty: it would
	Reason string
}

// Ask asks a provider which of these events it would take now. It gives an
// answer for each, or an error: then nobody knows.
type Ask func(ctx context.Context, events []*event.Event) ([]Answer, error)

// askAtOnce is how many events are asked about in one call.
const askAtOnce = 100

// DryGroup is what a dry run found out about a group.
type DryGroup struct {
	Group
	Asked  int
	Passes int
	Dies   map[string]int    // by code
	DiesOf map[string]string // by code: the reason of one that would die
}

// DryRun asks the providers that can be asked, and changes nothing. It reports
// how many letters it has asked about.
func (p *Plan) DryRun(ctx context.Context, ask map[string]Ask, report func(asked int)) ([]DryGroup, error) {
	groups := make([]DryGroup, len(p.Groups))
	for i, g := range p.Groups {
		groups[i] = DryGroup{Group: g, Dies: map[string]int{}, DiesOf: map[string]string{}}
	}
	asked := 0
	for _, provider := range slices.Sorted(maps.Keys(ask)) {
		if !slices.Contains(p.names, provider) {
			continue
		}
		b := &batch{ask: ask[provider], groups: groups}
		filter := p.options.Filter
		filter.Provider, filter.Limit = provider, 0 // the plan knows who is chosen
		for l, err := range p.letters.Letters(ctx, filter, p.extent.Last, dlq.Whole) {
			if err != nil {
				return groups, err
			}
			e, found := p.at(l.Seq)
			if !found || !e.goes() {
				continue
			}
			if !p.isPlanned(e, l) {
				return groups, anew(dlq.Stream)
			}
			m, err := p.message(l)
			if err != nil {
				continue
			}
			ev, err := event.Decode(m.body)
			if err != nil {
				continue
			}
			if b.add(ev, int(e.group)); len(b.events) < askAtOnce {
				continue
			}
			if err := b.send(ctx); err != nil {
				return groups, fmt.Errorf("%s: %w", provider, err)
			}
			asked += askAtOnce
			report(asked)
		}
		if err := b.send(ctx); err != nil {
			return groups, fmt.Errorf("%s: %w", provider, err)
		}
	}
	return groups, nil
}

// batch gathers the events of one question.
type batch struct {
	ask    Ask
	groups []DryGroup
	events []*event.Event
	of     []int // their groups
}

func (b *batch) add(ev *event.Event, group int) {
	b.events, b.of = append(b.events, ev), append(b.of, group)
}

func (b *batch) send(ctx context.Context) error {
	if len(b.events) == 0 {
		return nil
	}
	answers, err := b.ask(ctx, b.events)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		g := &b.groups[b.of[i]]
		g.Asked++
		if answer.Code == "" {
			g.Passes++
			continue
		}
		g.Dies[answer.Code]++
		g.DiesOf[answer.Code] = answer.Reason
	}
	b.events, b.of = nil, nil
	return nil
}
