package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
)

// state is what is to be done with a letter that has no claim.
type state uint8

const (
	ready state = iota
	left        // stays where it is
	twin        // the same death as another letter: goes as that goes
	taken       // this run has sent it
	gone        // somebody else removed it
)

// entry is what is remembered of a letter. It is small, for there may be a
// million: with its places in both indexes some 100 bytes.
type entry struct {
	seq        uint64 // in the dead-letter stream
	id         uint64 // hash of its Dlq-Id
	body       uint64 // hash of its event
	replay     uint64 // hash of the message id that its replay has
	key        uint64 // hash of its identity; 0 for none
	registered int64  // this, position, placed and at are its moment
	position   uint64
	at         int64
	proof      uint64 // the place of what claims it; of a taken one its replay's
	attempt    uint32 // generation and trials: the higher one is the later letter
	group      uint32
	provider   uint8
	state      state
	why        Why
	claim      claim
	placed     bool
	edited     bool // its history notes a change
	unsure     bool // the claim is another body's, which may be this one's, changed
}

func (e *entry) when() moment { return moment{e.registered, e.position, e.placed, e.at} }

func (e *entry) goes() bool { return e.state == ready && e.claim == unclaimed }

// isSameAs reports whether both are one event's, of whatever generation.
func (e *entry) isSameAs(other *entry) bool {
	return e.id == other.id && e.provider == other.provider && e.body == other.body
}

// Group is a group of the plan: the letters that died of the same thing.
type Group struct {
	dlq.Group
	Ready   int         // to be replayed
	Done    int         // replayed already, by a run that was cut off
	Left    map[Why]int // stay
	Example Examples
}

// Plan is what a run would do: which letters are there now, and which of them
// would go. It is made by Prepare and run once.
type Plan struct {
	Groups []Group // in the order of their first letters

	options Options
	js      jetstream.JetStream
	letters *dlq.Reader
	events  jetstream.Stream
	created time.Time  // of the events' stream: its sequences count from there
	extent  dlq.Extent // of the letters, when the plan was made
	begun   time.Time
	seed    maphash.Seed
	names   []string // of providers, for entries

	mu      sync.Mutex
	entries []entry  // by seq
	byKey   []uint32 // entries with a key, by that
	byReply []uint32 // all entries, by their replay's id
	read    uint64   // how far the events' stream was looked at
}

// Prepare reads the letters of a filter that are there now, and the events'
// stream once. It changes nothing.
func Prepare(ctx context.Context, js jetstream.JetStream, letters *dlq.Reader, o Options) (*Plan, error) {
	events, err := js.Stream(ctx, consumer.EventsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s is missing: no worker has made it yet, or NATS_URL leads to another broker: %w", consumer.EventsStream, err)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", consumer.EventsStream, err)
	}
	p := &Plan{options: o, js: js, letters: letters, events: events, created: events.CachedInfo().Created, begun: time.Now(), seed: maphash.MakeSeed()}
	if p.extent, err = letters.Extent(ctx); err != nil {
		return nil, err
	}
	if err := p.readLetters(ctx); err != nil {
		return nil, err
	}
	p.index()
	if len(p.entries) > 0 {
		if err := p.readEvents(ctx); err != nil {
			return nil, err
		}
		if err := p.weigh(ctx); err != nil {
			return nil, err
		}
	}
	p.judgeAge()
	p.count()
	return p, nil
}

// Ready is how many letters would go.
func (p *Plan) Ready() int { return p.sum(func(g Group) int { return g.Ready }) }

// Matched is how many letters the filter has.
func (p *Plan) Matched() int { return len(p.entries) }

// Left is how many letters stay, for whatever reason.
func (p *Plan) Left() int {
	return p.sum(func(g Group) int {
		n := 0
		for _, m := range g.Left {
			n += m
		}
		return n
	})
}

func (p *Plan) sum(of func(Group) int) int {
	n := 0
	for _, g := range p.Groups {
		n += of(g)
	}
	return n
}

// readLetters makes an entry of each letter.
func (p *Plan) readLetters(ctx context.Context) error {
	var groups dlq.Grouper
	var examples []Examples
	for l, err := range p.letters.Letters(ctx, p.options.Filter, p.extent.Last, dlq.Whole) {
		if err != nil {
			return err
		}
		group := groups.Add(l)
		e, problem := p.entryOf(l)
		e.group = uint32(group)
		p.entries = append(p.entries, e)
		for len(examples) <= group {
			examples = append(examples, Examples{})
		}
		if problem != "" && examples[group][e.why] == "" {
			examples[group][e.why] = problem
		}
	}
	for i, g := range groups.Groups() {
		p.Groups = append(p.Groups, Group{Group: g, Left: map[Why]int{}, Example: examples[i]})
	}
	return nil
}

// index sorts what letters are looked up by, and finds the leftovers and twins.
func (p *Plan) index() {
	for i := range p.entries {
		p.byReply = append(p.byReply, uint32(i))
		if p.entries[i].key != 0 {
			p.byKey = append(p.byKey, uint32(i))
		}
	}
	slices.SortFunc(p.byKey, func(a, b uint32) int { return cmp.Compare(p.entries[a].key, p.entries[b].key) })
	// First by the letter's own id: of one letter the latest attempt counts.
	slices.SortFunc(p.byReply, func(a, b uint32) int {
		x, y := &p.entries[a], &p.entries[b]
		return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.provider, y.provider), cmp.Compare(x.attempt, y.attempt))
	})
	p.findLeftovers()
	slices.SortFunc(p.byReply, func(a, b uint32) int {
		x, y := &p.entries[a], &p.entries[b]
		return cmp.Or(cmp.Compare(x.replay, y.replay), cmp.Compare(x.id, y.id), cmp.Compare(x.provider, y.provider),
			cmp.Compare(x.body, y.body), cmp.Compare(x.seq, y.seq))
	})
	for i := 1; i < len(p.byReply); i++ {
		if e := &p.entries[p.byReply[i]]; e.state == ready && p.isTwin(i) {
			e.state = twin
		}
	}
}

// isTwin reports whether a place of byReply has the same death as the one before.
func (p *Plan) isTwin(i int) bool {
	e, before := &p.entries[p.byReply[i]], &p.entries[p.byReply[i-1]]
	return e.replay == before.replay && e.isSameAs(before)
}

// judgeAge leaves what is too old, now that it is known as well as can be when
// each event came.
func (p *Plan) judgeAge() {
	if p.options.Stale || p.options.MaxAge == 0 {
		return
	}
	oldest := p.begun.Add(-p.options.MaxAge).UnixNano()
	for i := range p.entries {
		e := &p.entries[i]
		if came := cmp.Or(e.registered, e.at); (e.state == ready || e.state == twin) && came < oldest {
			e.leave(TooOld)
		}
	}
}

func (e *entry) leave(why Why) { e.state, e.why = left, why }

// count sums the entries up by group.
func (p *Plan) count() {
	for i := range p.entries {
		e := &p.entries[i]
		switch g := &p.Groups[e.group]; {
		case e.goes():
			g.Ready++
		case e.state == left && e.claim == unclaimed:
			g.Left[e.why]++
		default:
			g.Done++
		}
	}
}

// at finds the entry of a letter.
func (p *Plan) at(seq uint64) (*entry, bool) {
	// By index: what compares whole entries reads what others write under the lock.
	i := sort.Search(len(p.entries), func(i int) bool { return p.entries[i].seq >= seq })
	if i == len(p.entries) || p.entries[i].seq != seq {
		return nil, false
	}
	return &p.entries[i], true
}

// with calls each entry whose value in a sorted index is the wanted one. The
// caller holds the lock where there are others.
func (p *Plan) with(index []uint32, of func(*entry) uint64, wanted uint64, do func(*entry)) {
	i, _ := slices.BinarySearchFunc(index, wanted, func(at uint32, wanted uint64) int { return cmp.Compare(of(&p.entries[at]), wanted) })
	for ; i < len(index) && of(&p.entries[index[i]]) == wanted; i++ {
		do(&p.entries[index[i]])
	}
}
