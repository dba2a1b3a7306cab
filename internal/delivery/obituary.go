package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// obituaries bound what is written of letters: an app that publishes garbage
// makes thousands a second. The first one of each code is told at once, those
// that follow are counted.
type obituaries struct {
	log *slog.Logger

	mu    sync.Mutex
	codes map[string]*deaths
}

// deaths are those of one code since they were last told.
type deaths struct {
	more   int
	reason string // of the last one
}

// mostCodes are told apart between two counts; a provider may make up any.
const mostCodes = 50

func newObituaries(log *slog.Logger) *obituaries {
	return &obituaries{log: log, codes: map[string]*deaths{}}
}

func (o *obituaries) add(why death, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	code := dlq.Code(why.code)
	if o.codes[code] == nil && len(o.codes) >= mostCodes {
		code = "other"
	}
	if known := o.codes[code]; known != nil {
		known.more++
		known.reason = why.reason
		return
	}
	o.codes[code] = &deaths{}
	o.log.Warn("event died", "code", code, "reason", why.reason, "stream_seq", seq)
}

// tell writes what was counted. A code of which none came is told at once when
// the next one does.
func (o *obituaries) tell() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for code, known := range o.codes {
		if known.more == 0 {
			delete(o.codes, code)
			continue
		}
		o.log.Warn("events died", "code", code, "count", known.more, "over", summaryEvery.String(), "last_reason", known.reason)
		known.more = 0
	}
}

// run tells every ten seconds.
func (o *obituaries) run(stop context.Context) {
	ticker := time.NewTicker(summaryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.tell()
		case <-stop.Done():
			return
		}
	}
}
