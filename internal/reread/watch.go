package reread

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

// every is how often the files are looked at. Reading some small files costs
// microseconds, works on every file system and through the symbolic links that
// a kubelet swaps; a notification of the kernel's does neither.
const every = 5 * time.Second

// Source is a Value of any type.
type Source interface {
	Reread() error
	Version() int
	String() string
}

// Watch reads sources again, every five seconds and when it is told to. Its
// fields are for before Run.
type Watch struct {
	Log     *slog.Logger
	Signals <-chan os.Signal // each says: now; nil: none

	mu      sync.Mutex
	sources []watched
}

type watched struct {
	Source
	changed func()
	version int    // of the last look
	problem string // of the last look; empty: it was right
}

// Add watches a source. changed, which may be nil, is called in Run after the
// source has changed.
func (w *Watch) Add(source Source, changed func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sources = append(w.sources, watched{Source: source, changed: changed, version: source.Version()})
}

// Run returns when ctx is done.
func (w *Watch) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-ticker.C:
		case <-w.Signals:
			w.Log.Info("SIGHUP: the files of secrets, keys and certificates are read again")
		case <-ctx.Done():
			return
		}
	}
}

// look tells each change, and a file that is wrong once.
func (w *Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.sources {
		s := &w.sources[i]
		problem := ""
		if err := s.Reread(); err != nil {
			problem = err.Error()
		}
		version := s.Version() // who uses the source may have read it again, too
		changed := version != s.version
		switch {
		case problem != "" && problem != s.problem:
			w.Log.Warn("a file cannot be used; what it said before stays in use", "err", problem)
		case changed:
			w.Log.Info("a file has changed and is in use", "file", s.String())
		case problem == "" && s.problem != "":
			w.Log.Info("a file can be used again; it says what it said before", "file", s.String())
		}
		s.problem, s.version = problem, version
		if changed && s.changed != nil {
			s.changed()
		}
	}
}
