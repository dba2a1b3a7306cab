package delivery

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		play func(e *evidence) (refusal time.Time)
		want bool
	}{
		{"nothing was accepted", func(*evidence) time.Time { return time.Now() }, false},
		{"accepted before", func(e *evidence) time.Time {
			e.noteAccepted(time.Now())
			time.Sleep(time.Second)
			return time.Now()
		}, false},
		{"begun before, accepted after", func(e *evidence) time.Time {
			began := time.Now()
			time.Sleep(time.Second)
			refusal := time.Now()
			time.Sleep(time.Second)
			e.noteAccepted(began)
			return refusal
		}, false},
		{"begun and accepted after", func(e *evidence) time.Time {
			refusal := time.Now()
			time.Sleep(time.Second)
			e.noteAccepted(time.Now())
			return refusal
		}, true},
		{"an older call ends last", func(e *evidence) time.Time {
			old := time.Now()
			time.Sleep(time.Second)
			refusal := time.Now()
			time.Sleep(time.Second)
			e.noteAccepted(time.Now())
			e.noteAccepted(old)
			return refusal
		}, true},
		{"after a hold it was the provider", func(e *evidence) time.Time {
			refusal := time.Now()
			time.Sleep(time.Second)
			e.noteHeld()
			time.Sleep(time.Second)
			e.noteAccepted(time.Now())
			return refusal
		}, false},
		{"a refusal after the hold", func(e *evidence) time.Time {
			e.noteHeld()
			time.Sleep(time.Second)
			refusal := time.Now()
			time.Sleep(time.Second)
			e.noteAccepted(time.Now())
			return refusal
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &evidence{}
				if got := e.since(c.play(e)); got != c.want {
					t.Errorf("evidence %v, want %v", got, c.want)
				}
			})
		})
	}
}

// A row of refusals by name is believed up to its limit; an acceptance and an
// operator's word begin it anew.
func TestNamedRefusalsAreBelievedWhileFew(t *testing.T) {
	t.Parallel()
	e := &evidence{}
	believed := func() (n int) {
		for range 3 * namedLimit {
			if e.believe() {
				n++
			}
		}
		return n
	}
	if n := believed(); n != namedLimit {
		t.Errorf("%d in a row are believed, want %d", n, namedLimit)
	}
	e.noteAccepted(time.Now())
	if n := believed(); n != namedLimit {
		t.Errorf("%d after an acceptance, want %d", n, namedLimit)
	}
	before := time.Now()
	e.decree()
	if n := believed(); n != namedLimit || e.decreedAt().Before(before) {
		t.Errorf("%d after an operator's word, want %d", n, namedLimit)
	}
}
