package delivery

import (
	"sync"
	"time"
)

// evidence is what speaks for a provider when it refuses a record without
// naming it: that it accepted another one since. A call that was open already
// when the record was refused says nothing (the trouble may have begun in
// between), and neither does one after a hold: then it was the provider.
//
// Refusals by name need none while they are few: a lone bad event in a quiet
// system is a letter at once. But a row of them with nothing accepted in
// between speaks against the provider, too.
type evidence struct {
	mu       sync.Mutex
	accepted time.Time // when the newest call that was accepted began
	held     time.Time // when the provider was last seen held
	named    int       // different records in a row that were refused by name and believed
	decreed  time.Time // when an operator last said that they are right
}

// namedLimit is how many refusals by name in a row are believed. A stream of
// which nine in ten are bad comes to it once in 40 000 rows.
const namedLimit = 100

// believe says whether one more refusal by name is believed, and counts it.
func (e *evidence) believe() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.named >= namedLimit {
		return false
	}
	e.named++
	return true
}

// namedInARow is how many refusals by name were believed in a row.
func (e *evidence) namedInARow() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.named
}

// decree is an operator's word that what was refused by name until now is bad.
func (e *evidence) decree() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.named, e.decreed = 0, time.Now()
}

// decreedAt is when that was; zero: never.
func (e *evidence) decreedAt() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.decreed
}

// noteAccepted is told when the accepted call began.
func (e *evidence) noteAccepted(began time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.named = 0
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
