package dlq

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Key is what the letters of a group have in common.
type Key struct {
	Provider string
	Code     string
	Reason   string // normalised
}

// Group is the letters that died of the same thing.
type Group struct {
	Key
	Count       int
	First, Last time.Time   // deaths
	Generations map[int]int // letters by generation
	Newest      string      // the id of the letter that died last
}

// mostGroups bounds the memory: what a provider writes may be new each time.
const mostGroups = 2000

// OtherReasons is the reason of a provider's and a code's group that takes in
// what would be one group too many.
const OtherReasons = "(other reasons)"

// Grouper sorts letters into groups. It keeps no letter.
type Grouper struct {
	index  map[Key]int
	groups []Group
}

// Add counts a letter and returns its group's index in the order of their
// first letters.
func (g *Grouper) Add(l *Stored) int {
	if g.index == nil {
		g.index = map[Key]int{}
	}
	key := Key{l.Provider, l.Code, Normalise(l.Code, l.Reason)}
	at, known := g.index[key]
	if !known && len(g.groups) >= mostGroups {
		key.Reason = OtherReasons
		at, known = g.index[key]
	}
	if !known {
		key = Key{strings.Clone(key.Provider), strings.Clone(key.Code), strings.Clone(key.Reason)} // let go of the message
		at = len(g.groups)
		g.index[key] = at
		g.groups = append(g.groups, Group{Key: key, First: l.FailedAt, Last: l.FailedAt, Generations: map[int]int{}})
	}
	group := &g.groups[at]
	group.Count++
	group.Generations[l.Generation]++
	if l.FailedAt.Before(group.First) {
		group.First = l.FailedAt
	}
	if !l.FailedAt.Before(group.Last) {
		group.Last, group.Newest = l.FailedAt, strings.Clone(l.ID)
	}
	return at
}

// Groups are the groups in the order of their first letters.
func (g *Grouper) Groups() []Group { return g.groups }

// Groups sorts the letters of a filter up to a place in the stream into groups
// in one pass, the largest first.
func (r *Reader) Groups(ctx context.Context, f Filter, through uint64) ([]Group, error) {
	var g Grouper
	for l, err := range r.Letters(ctx, f, through, Headers) {
		if err != nil {
			return nil, err
		}
		g.Add(l)
	}
	groups := slices.Clone(g.Groups())
	SortGroups(groups)
	return groups, nil
}

// SortGroups puts the largest first.
func SortGroups(groups []Group) {
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Provider, b.Provider),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Reason, b.Reason))
	})
}
