package flow

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// AnnouncerSettings are what an Announcer needs.
type AnnouncerSettings struct {
	Pod     string // another name at each start
	Version string
	Every   time.Duration // 0: Every
	Log     *slog.Logger
}

// Announcer tells who listens what this worker does.
type Announcer struct {
	AnnouncerSettings
	started time.Time    // zero: not begun
	muted   atomic.Int64 // rounds to go before it is tried again: rights change
	told    sync.Once
}

// NewAnnouncer says nothing before Begin.
func NewAnnouncer(s AnnouncerSettings) *Announcer {
	if s.Every == 0 {
		s.Every = Every
	}
	return &Announcer{AnnouncerSettings: s}
}

// Begin is the moment from which the worker counts; before Run.
func (a *Announcer) Begin() { a.started = time.Now() }

// Run announces now and every two seconds, until ctx ends; where the broker
// refuses it, once a minute. count is asked for the figures by provider. While
// the broker is away nothing is announced: it would arrive late, all at once.
func (a *Announcer) Run(ctx context.Context, nc *nats.Conn, count func() map[string]Figures) {
	round := time.NewTicker(a.Every)
	defer round.Stop()
	for {
		switch {
		case a.muted.Load() > 0:
			a.muted.Add(-1)
		case nc.IsConnected():
			a.announce(nc, count(), false)
		}
		select {
		case <-round.C:
		case <-ctx.Done():
			return
		}
	}
}

// End announces a last time, when nothing is counted any more and Run has
// returned. It does nothing for a worker that never began.
func (a *Announcer) End(nc *nats.Conn, count map[string]Figures) {
	if !a.started.IsZero() && a.muted.Load() == 0 {
		a.announce(nc, count, true)
	}
}

func (a *Announcer) announce(nc *nats.Conn, count map[string]Figures, ended bool) {
	body, err := json.Marshal(Announcement{Pod: a.Pod, Started: a.started.UTC(), AgeMS: time.Since(a.started).Milliseconds(),
		Version: a.Version, Ended: ended, Providers: count})
	if err == nil {
		err = nc.Publish(Subject, body)
	}
	if err != nil {
		a.Log.Debug("figures not announced", "err", err)
	}
}

// Refused takes an error that the connection was told of. It reports whether
// the error was about the announcements, which rest then; the first is told in
// one warning.
func (a *Announcer) Refused(err error) bool {
	if refused := rights.RefusalOf(err); refused == nil || refused.Right != (rights.Right{Verb: "publish", Subject: Subject}) {
		return false
	}
	a.muted.Store(deafRounds)
	a.told.Do(func() {
		a.Log.Warn("this worker's figures are not announced: its NATS user may not publish there", "subject", Subject)
	})
	return true
}
