package replay

// try replays a few letters of each group and waits for what becomes of them.
// Where others are at work on the same letters it looks for further ones, for
// twice as many each round: what it does not find there is gone for good.
func (n *lane) try() {
	if n.options.Trial == 0 {
		return
	}
	waiting, tried := map[int]bool{}, map[int]int{}
	for most := n.options.Trial; ; most = min(2*most, len(n.entries)) {
		picked := n.pick(waiting, most)
		if len(picked) == 0 {
			break
		}
		for _, e := range picked {
			if tried[int(e.group)] >= n.options.Trial {
				continue
			}
			if n.pace.enter(n.soft, int(e.group), true) != nil {
				return
			}
			l, err := n.get(n.soft, e) // once it may go: it may have waited
			if err != nil || l == nil {
				n.pace.leave(int(e.group), false)
			}
			if err != nil {
				n.fail(err)
				return
			}
			if l != nil && n.send(e, l, true) {
				waiting[int(e.group)] = true
				n.verdicts[e.group] = Open
				tried[int(e.group)]++
			}
		}
		n.sending.Wait() // the broker's word, of all of them
	}
	for n.judge(waiting) {
		if !n.await() {
			return
		}
	}
}

// judge gives verdicts where they are due and reports whether some are still
// out.
func (n *lane) judge(waiting map[int]bool) bool {
	for group := range waiting {
		switch tried := n.books.tried(group); {
		case tried.Died > 0:
			n.verdicts[group] = Failed
		case tried.Waiting > 0:
			continue
		case tried.Replayed > 0:
			n.verdicts[group] = Passed
		default: // it stays open: the broker refused them
		}
		delete(waiting, group)
	}
	return len(waiting) > 0
}

// pick chooses up to so many letters for the trial of each group that has none
// yet, spread evenly: the first and the last may have died of different things.
func (n *lane) pick(have map[int]bool, most int) []*entry {
	n.mu.Lock()
	defer n.mu.Unlock()
	total := make([]int, len(n.Groups))
	for i := range n.entries {
		if n.entries[i].goes() {
			total[n.entries[i].group]++
		}
	}
	seen := make([]int, len(n.Groups))
	var picked []*entry
	for i := range n.entries {
		e := &n.entries[i]
		if !e.goes() || have[int(e.group)] || n.Groups[e.group].Provider != n.provider {
			continue
		}
		before, of := seen[e.group], total[e.group]
		seen[e.group]++
		if want := min(most, of); (before+1)*want/of > before*want/of {
			picked = append(picked, e)
		}
	}
	return picked
}
