package delivery

import (
	"sync"
	"time"
)

// evidence is what speaks for a provider when it refuses a record without
// naming it: that it accepted another one since. A call that was open already
// when the record was refused says nothing (the trouble may have begun in
// between), and neither does one after a hold: then it was the provider.
type evidence struct {
	mu       sync.Mutex
	accepted time.Time // when the newest call that was accepted began
	held     time.Time // when the provider was last seen held
}

// noteAccepted is told when the accepted call began.
func (e *evidence) noteAccepted(began time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if began.After(e.accepted) {
		e.accepted = began
	}
}

func (e *evidence) noteHeld() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = time.Now()
}

// sinceRefused is enough against a record that is refused alone once more: a
// hold in between or not, the provider took another one and refuses this again.
func (e *evidence) sinceRefused(before time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.accepted.After(before)
}

// since says whether the provider has been shown to work since a refusal.
func (e *evidence) since(refusal time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.accepted.After(refusal) && e.held.Before(refusal)
}
