package replay

// try replays a few letters of each group and waits for what becomes of them.
// Where others are at work on the same letters it looks for further ones, for
// twice as many each round: what it does not find there is gone for good.
func (r *run) try() {
	if r.options.Trial == 0 {
		return
	}
	waiting, tried := map[int]bool{}, map[int]int{}
	for most := r.options.Trial; ; most = min(2*most, len(r.entries)) {
		picked := r.pick(waiting, most)
		if len(picked) == 0 {
			break
		}
		for _, e := range picked {
			if r.soft.Err() != nil {
				return
			}
			if tried[int(e.group)] >= r.options.Trial {
				continue
			}
			l, err := r.get(r.soft, e)
			if err != nil {
				r.fail(err)
				return
			}
			if l != nil && r.send(e, l, true) {
				r.books.note(int(e.group), func(g *GroupReport) { g.Tried++ })
				waiting[int(e.group)] = true
				tried[int(e.group)]++
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

// pick chooses up to so many letters for the trial of each group that has none
// yet, spread evenly: the first and the last may have died of different things.
func (r *run) pick(have map[int]bool, most int) []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := make([]int, len(r.Groups))
	for i := range r.entries {
		if r.entries[i].goes() {
			total[r.entries[i].group]++
		}
	}
	seen := make([]int, len(r.Groups))
	var picked []*entry
	for i := range r.entries {
		e := &r.entries[i]
		if !e.goes() || have[int(e.group)] {
			continue
		}
		n, of := seen[e.group], total[e.group]
		seen[e.group]++
		if want := min(most, of); (n+1)*want/of > n*want/of {
			picked = append(picked, e)
		}
	}
	return picked
}
