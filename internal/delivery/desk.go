// Package delivery decides what becomes of every record: it takes messages
// from a consumer, batches their records, makes the calls, and ends each
// event in exactly one outcome. The decision itself is one pure function
// (decide.go); everything around it only carries it out.
//
// It knows events, records, answers, holds and letters; it refuses to know how
// a provider writes a request and how JetStream redelivers. A Desk owns all
// goroutines of its provider's delivery; Run returns when the last has ended.
package delivery

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/fleet"
	"github.com/tokenrelay/tokenrelay/providers"
)

// Settings are what one provider's desk needs. All fields are required but
// Permits.
type Settings struct {
	Provider providers.Provider
	Consumer *consumer.Consumer
	Holds    *fleet.Holds
	Permits  *fleet.Permits // a sender takes one before it pulls; nil: one sender without
	Senders  int            // senders at the most: the cap, when permits are needed
	Calls    int            // calls that one sender has open at once
	Letters  *dlq.Writer
	Conn     *nats.Conn // for outcome replies
	Metrics  *Metrics
	Log      *slog.Logger

	BatchWait       time.Duration // age of the first record at which a batch goes
	RetryMaxElapsed time.Duration // for further calls in a call's place
	MaxAttempts     int           // rounds a record may fail alone while others are accepted
	MaxAttemptsAge  time.Duration // and the time it must have failed for, before it dies of that
	EventMaxAge     time.Duration // after which the stream drops an event; 0: never
}

// Desk delivers the events of one provider.
type Desk struct {
	Settings
	name    string
	metrics *metrics
	summary summary
	died    *obituaries

	evidence      evidence
	refusedInARow atomic.Int64
	doubtsInARow  atomic.Int64 // of them, those that were no lone record's once more
	probing       sync.Mutex   // one try for the probe at a time in this pod
	silent        atomic.Int64 // probes in a row that this pod got no answer to at all
	ramp          *ramp        // how many calls may be open after a hold

	lot     *parkingLot
	singles chan *item      // to be sent alone: parked ones whose time has come, and the much redelivered
	stop    context.Context // Run's
	letters chan struct{}   // one place a letter being stored; full: senders wait
	storing sync.WaitGroup
	jam     jam          // letters cannot be stored: others may have the permits
	warned  atomic.Int64 // when letters that cannot be stored were last spoken of, in ns
}

// Limits of what a pod keeps in hand beside its batches.
const (
	maxParked  = 1000
	maxLetters = 64
	// maxBytes of messages that are in hand: of one sender, or of the three that
	// a pod has with the usual cap. Only events of more than 6 kB reach it.
	maxBytes = 4 << 20
	// aloneAfter deliveries a message is sent alone: it may be what kills us.
	aloneAfter = 20
	// giveBackDelay keeps what a draining pod returns from coming straight back to it.
	giveBackDelay = time.Second
)

// NewDesk is ready to Run.
func NewDesk(s Settings) *Desk {
	d := &Desk{
		Settings: s,
		name:     s.Provider.Name(),
		metrics:  s.Metrics.of(s.Provider.Name()),
		singles:  make(chan *item),
		letters:  make(chan struct{}, maxLetters),
		jam:      newJam(),
		ramp:     newRamp(max(s.Senders, 1) * s.Calls),
	}
	d.Log = s.Log.With("provider", d.name)
	if s.Permits != nil {
		d.metrics.permitsCap.Set(float64(s.Senders))
	}
	d.died = newObituaries(d.Log)
	return d
}

// Run delivers until stop ends: then nothing new is pulled, what is batched is
// flushed, open calls are waited for, and the rest is given back. When work
// ends, too, open calls are cut off. Run returns with every message settled.
func (d *Desk) Run(stop, work context.Context) {
	d.stop = stop
	d.lot = newParkingLot(maxParked, d.singles, ends{
		untilExpiry: d.untilExpiry,
		expire:      func(it *item) { d.expire(work, it) },
		giveBack:    func(it *item) { it.message.Nak(giveBackDelay) },
	})
	var running sync.WaitGroup
	if d.Provider.MaxRecords() == 1 {
		running.Go(func() { d.summarise(stop) })
	}
	running.Go(func() {
		<-stop.Done()
		d.lot.close()
	})
	running.Go(func() { d.died.run(stop) })
	running.Go(func() { d.countErased(stop) })
	running.Go(func() { d.buryUnread(stop) })
	running.Go(func() {
		if err := d.Holds.Listen(stop, d.name, d.evidence.decree); err != nil && stop.Err() == nil {
			d.Log.Warn("`worker resume` will not reach this pod", "err", err)
		}
	})
	if d.Permits == nil {
		running.Go(func() { (&sender{Desk: d, stop: stop, work: work}).run() })
	} else {
		for range d.Senders {
			running.Go(func() { d.sendWithPermits(stop, work) })
		}
	}
	running.Wait()
	d.storing.Wait()
	d.died.tell()
}

// Figures are what this desk has counted, and has open, now.
func (d *Desk) Figures() Figures { return d.metrics.figures() }
