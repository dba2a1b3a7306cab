package console

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Each wrong password costs its place twice the time of the one before; other
// places do not notice, and a right one ends it.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		try := func(from string, right bool) time.Duration {
			began := time.Now()
			got, err := g.try(t.Context(), from, func() bool { return right })
			if err != nil || got != right {
				t.Fatalf("%v %v", got, err)
			}
			return time.Since(began)
		}
		const eve, maja = "10.0.0.1:1", "10.0.0.2:1"
		for i, want := range []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
			if took := try(eve, false); took != want {
				t.Errorf("try %d took %s, want %s", i, took, want)
			}
			if took := try(maja, true); took != 0 {
				t.Errorf("another place waited %s", took)
			}
		}
		if took := try("10.0.0.1:2222", true); took != 30*time.Second {
			t.Errorf("a right one from the same place took %s", took)
		}
		if took := try(eve, false); took != 0 {
			t.Errorf("after a right one a try took %s", took)
		}
		time.Sleep(forgotten)
		try(eve, false)
		if took := try(eve, false); took != firstPenalty {
			t.Errorf("after a long rest a second try took %s", took)
		}
		if took := try("[2001:db8::1]:1", false) + try("[2001:db8::ffff]:1", false); took != firstPenalty {
			t.Errorf("a network of IPv6 waited %s", took)
		}
	})
}

// Who goes away gains nothing: the penalty stands.
func TestGateRemembersWhoLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		wrong := func() bool { return false }
		_, _ = g.try(t.Context(), "10.0.0.1:1", wrong)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := g.try(ctx, "10.0.0.1:1", func() bool { t.Error("looked at"); return false }); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		for i := range 3 * mostPlaces {
			_, _ = g.try(t.Context(), string(rune('a'+i%26))+time.Duration(i).String(), wrong)
		}
		if len(g.places) > mostPlaces {
			t.Errorf("%d places", len(g.places))
		}
	})
}

// A session ends when nobody clicks, and after half a day in any case.
func TestSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(time.Hour)
		idle, busy := s.begin("Maja"), s.begin("Eve")
		for range 12 {
			time.Sleep(time.Hour - time.Second)
			if s.find(busy.id, true) == nil {
				t.Fatal("a busy session ended")
			}
			s.find(idle.id, false) // a page asks by itself
		}
		if s.find(idle.id, true) != nil {
			t.Error("an idle session goes on")
		}
		time.Sleep(longestSession - 12*(time.Hour-time.Second) - time.Second)
		if s.find(busy.id, true) == nil {
			t.Error("a session ended early")
		}
		time.Sleep(time.Second)
		if s.find(busy.id, true) != nil {
			t.Error("a session has no end")
		}
		for range 3 * mostSessions {
			s.begin("many")
		}
		if len(s.byID) > mostSessions {
			t.Errorf("%d sessions", len(s.byID))
		}
		if s.find("", true) != nil || s.find("guess", true) != nil {
			t.Error("a guess is a session")
		}
	})
}

// A reveal is for one look at one letter.
func TestRevealOnce(t *testing.T) {
	t.Parallel()
	s := newSessions(time.Hour).begin("Maja")
	s.mayReveal(7)
	if s.reveals(8) || !s.reveals(7) || s.reveals(7) || s.reveals(0) {
		t.Error("a reveal is not once for one letter")
	}
}

func TestRememberedPersons(t *testing.T) {
	t.Parallel()
	s := newSessions(time.Hour).begin("Maja")
	first := s.remember(person{user: "ann"})
	if again := s.remember(person{user: "ann"}); again != first {
		t.Error("one person, two names")
	}
	for i := range mostSearches {
		s.remember(person{user: time.Duration(i).String()})
	}
	if _, known := s.remembered(first); known || len(s.persons) > mostSearches || len(s.order) != len(s.persons) {
		t.Errorf("%d persons are remembered", len(s.persons))
	}
	if _, known := s.remembered(""); known {
		t.Error("nobody is remembered")
	}
}
