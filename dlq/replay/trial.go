package replay

// mostRounds bounds the search for letters to try where others are at work on
// the same group.
const mostRounds = 5

// try replays a few letters of each group and waits for what becomes of them.
func (r *run) try() {
	if r.options.Trial == 0 {
		return
	}
	waiting := map[int]bool{}
	for range mostRounds {
		picked := r.pick(waiting)
		if len(picked) == 0 {
			break
		}
		for _, e := range picked {
			if r.soft.Err() != nil {
				return
			}
			l, err := r.get(r.soft, e)
			if err != nil {
				r.fail(err)
				return
			}
			if l != nil && r.send(e, l, true) {
				r.books.note(int(e.group), func(g *GroupReport) { g.Tried++ })
				waiting[int(e.group)] = true
			}
		}
		r.sending.Wait() // the broker's word, of all of them
	}
	for group := range r.Groups {
		if waiting[group] {
			r.verdicts[group] = Open
		}
	}
	for r.judge(waiting) {
		if !r.await() {
			return
		}
	}
}

// judge gives verdicts where they are due and reports whether some are still
// out.
func (r *run) judge(waiting map[int]bool) bool {
	for group := range waiting {
		switch open, failed := r.books.trial(group); {
		case failed > 0:
			r.verdicts[group] = Failed
		case open == 0 && r.books.landed(group):
			r.verdicts[group] = Passed
		case open == 0:
			r.verdicts[group] = Open // nothing came of it: the broker refused them
		default:
			continue
		}
		delete(waiting, group)
	}
	return len(waiting) > 0
}

// pick chooses letters for the trial, spread evenly over each group that has
// none yet: the first and the last may have died of different things.
func (r *run) pick(have map[int]bool) []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := make([]int, len(r.Groups))
	for i := range r.entries {
		if r.entries[i].state == ready {
			total[r.entries[i].group]++
		}
	}
	seen := make([]int, len(r.Groups))
	var picked []*entry
	for i := range r.entries {
		e := &r.entries[i]
		if e.state != ready || have[int(e.group)] {
			continue
		}
		n, of := seen[e.group], total[e.group]
		seen[e.group]++
		if want := min(r.options.Trial, of); (n+1)*want/of > n*want/of {
			picked = append(picked, e)
		}
	}
	return picked
}
