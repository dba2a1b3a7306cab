package sandbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// ruleSet is the rules in force and what they have done so far.
type ruleSet struct {
	mu    sync.Mutex
	rules []*activeRule
}

// activeRule is a rule since it was set; its counters are guarded by the set's mutex.
type activeRule struct {
	*matcher
	begin, end time.Time // end is zero when it has none
	matched    int       // calls that it concerned, for Every
	hits       int       // calls that it changed
	gone       chan struct{}
}

func (s *ruleSet) set(rules []Rule, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(*activeRule) bool { return true })
	s.append(rules, now)
}

func (s *ruleSet) add(rules []Rule, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(rules, now)
}

func (s *ruleSet) append(rules []Rule, now time.Time) {
	for _, r := range rules {
		m, err := r.matcher()
		if err != nil {
			continue // cannot be: every way in validates
		}
		active := &activeRule{matcher: m, begin: now.Add(r.After), gone: make(chan struct{})}
		if r.For > 0 {
			active.end = active.begin.Add(r.For)
		}
		s.rules = append(s.rules, active)
	}
}

// remove ends the rules of that name and tells how many there were.
func (s *ruleSet) remove(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop(func(r *activeRule) bool { return r.rule.Name == name })
}

func (s *ruleSet) drop(which func(*activeRule) bool) int {
	var kept []*activeRule
	for _, r := range s.rules {
		if which(r) {
			close(r.gone) // lets go of the calls that hang by it
		} else {
			kept = append(kept, r)
		}
	}
	dropped := len(s.rules) - len(kept)
	s.rules = kept
	return dropped
}

func (s *ruleSet) list() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		rules[i] = r.rule
	}
	return rules
}

func (s *ruleSet) report(now time.Time) []RuleReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]RuleReport, len(s.rules))
	for i, r := range s.rules {
		reports[i] = RuleReport{Rule: r.rule, Active: r.active(now), Hits: r.hits}
	}
	return reports
}

func (r *activeRule) active(now time.Time) bool {
	return !now.Before(r.begin) && (r.end.IsZero() || now.Before(r.end)) && (r.rule.Calls == 0 || r.hits < r.rule.Calls)
}

// plan is what the rules make of one call.
type plan struct {
	hang   *activeRule   // nil: none
	whole  *Rule         // decides the whole answer; nil: none
	delay  time.Duration // before the answer is written
	refuse []*Rule       // by record; nil when none is refused
}

func (s *ruleSet) plan(provider string, records []Record, now time.Time) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p plan
	for _, r := range s.rules {
		if r.rule.Provider != "" && r.rule.Provider != provider || !r.active(now) {
			continue
		}
		// What an earlier rule has decided is not decided again, nor counted.
		if r.rule.Effect == Hang && p.hang != nil || r.wholeCall() && p.whole != nil {
			continue
		}
		if !r.concerns(records) {
			continue
		}
		r.matched++
		if r.rule.Every > 1 && r.matched%r.rule.Every != 0 {
			continue
		}
		r.hits++
		r.apply(&p, records)
	}
	return p
}

func (r *activeRule) concerns(records []Record) bool {
	if r.all && r.rule.Effect != Refuse {
		return true
	}
	for i := range records {
		if r.record(records[i].Identity, records[i].Token) {
			return true
		}
	}
	return false
}

func (r *activeRule) wholeCall() bool {
	return r.rule.Effect != Refuse && r.rule.Effect != Latency && r.rule.Effect != Hang
}

func (r *activeRule) apply(p *plan, records []Record) {
	switch r.rule.Effect {
	case Refuse:
		if p.refuse == nil {
			p.refuse = make([]*Rule, len(records))
		}
		for i := range records {
			if p.refuse[i] == nil && r.record(records[i].Identity, records[i].Token) {
				p.refuse[i] = &r.rule
			}
		}
	case Latency:
		p.delay += r.rule.Delay
		if spread := r.rule.DelayMax - r.rule.Delay; spread > 0 {
			p.delay += time.Duration(rand.Int64N(int64(spread) + 1))
		}
	case Hang:
		p.hang = r
	default:
		p.whole = &r.rule
	}
}

// wait hangs as long as the rule says; it reports false when ctx ended first.
func (r *activeRule) wait(ctx context.Context) bool {
	var over <-chan time.Time
	limit := r.rule.Delay
	if !r.end.IsZero() {
		if left := time.Until(r.end); limit == 0 || left < limit {
			limit = max(left, 1)
		}
	}
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.gone:
	case <-over:
	case <-ctx.Done():
		return false
	}
	return true
}
