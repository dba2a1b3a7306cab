package console

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	limit "golang.org/x/time/rate"
)

// Strict makes every penalty so long that nobody waits for its end, and looks
// at so many passwords of strangers only.
func (c *Console) Strict(strangers int) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.firstPenalty, c.gate.mostPenalty = time.Hour, time.Hour
	c.gate.strangers = limit.NewLimiter(0, strangers)
}

func stranger(remote string) caller { return caller{place: placeOf(remote)} }

// Each wrong password costs its place twice the time of the one before; other
// places do not notice, and a right one ends it.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		try := func(from caller, right bool) time.Duration {
			began := time.Now()
			got, err := g.try(t.Context(), from, func() bool { return right })
			if err != nil || got != right {
				t.Fatalf("%v %v", got, err)
			}
			return time.Since(began)
		}
		eve, maja := stranger("10.0.0.1:1"), caller{place: "maja", known: true}
		for i, want := range []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
			if took := try(eve, false); took != want {
				t.Errorf("try %d took %s, want %s", i, took, want)
			}
			if took := try(maja, true) + try(stranger("10.0.0.2:1"), true); took != 0 {
				t.Errorf("other places waited %s", took)
			}
		}
		if took := try(stranger("10.0.0.1:2222"), true); took != 30*time.Second {
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
		if took := try(stranger("[2001:db8::1]:1"), false) + try(stranger("[2001:db8::ffff]:1"), false); took != firstPenalty {
			t.Errorf("a network of IPv6 waited %s", took)
		}
		if took := try(maja, false) + try(maja, false) + try(maja, true); took != 3*firstPenalty {
			t.Errorf("a known browser that guesses waited %s", took)
		}
	})
}

// Who goes away gains nothing: the penalty stands, and strangers lose nothing.
func TestGateRemembersWhoLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		eve := stranger("10.0.0.1:1")
		wrong := func() bool { return false }
		for range 3 {
			_, _ = g.try(t.Context(), eve, wrong)
		}
		began, p := time.Now(), *g.places[eve.place]
		for range 3 * strangersBurst {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := g.try(ctx, eve, func() bool { t.Error("looked at"); return false }); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		if *g.places[eve.place] != p {
			t.Errorf("%+v became %+v", p, *g.places[eve.place])
		}
		if g.strangers.TokensAt(time.Now()) < strangersBurst-3 {
			t.Error("who left took from other strangers")
		}
		if _, _ = g.try(t.Context(), eve, wrong); time.Since(began) != 2*time.Second {
			t.Errorf("looked at after %s", time.Since(began))
		}
	})
}

// However many guess, places are bounded, and a flood of strangers drives no
// penalty out.
func TestGateForgetsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		wrong := func() bool { return false }
		thief := caller{place: "thief", known: true}
		_, _ = g.try(t.Context(), thief, wrong)
		for i := range 3 * mostPlaces {
			_, _ = g.try(t.Context(), stranger(strconv.Itoa(i)), wrong)
		}
		if len(g.places) != 1+strangersBurst || g.places[thief.place] == nil {
			t.Errorf("%d places", len(g.places))
		}
		for i := range mostPlaces + 50 {
			_, _ = g.try(t.Context(), caller{place: "known " + strconv.Itoa(i), known: true}, wrong)
		}
		if len(g.places) != mostPlaces {
			t.Errorf("%d places", len(g.places))
		}
		time.Sleep(forgotten)
		_, _ = g.try(t.Context(), caller{place: "one more", known: true}, wrong)
		if len(g.places) != 1 {
			t.Errorf("%d places after a long rest", len(g.places))
		}
	})
}

// Strangers together are looked at so often only, wherever they come from;
// known browsers do not notice.
func TestGateBoundsStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		looked := 0
		for i := range 10_000 { // for 10 s
			ok, err := g.try(t.Context(), stranger(strconv.Itoa(i)), func() bool { looked++; return false })
			if ok || err != nil && !errors.Is(err, errFlooded) {
				t.Fatalf("%v %v", ok, err)
			}
			if ok, err := g.try(t.Context(), caller{place: "maja", known: true}, func() bool { return true }); !ok || err != nil {
				t.Fatalf("a known browser: %v %v", ok, err)
			}
			time.Sleep(time.Millisecond)
		}
		if most := strangersBurst + 10*strangersRate; looked < most-1 || looked > most {
			t.Errorf("%d were looked at, want %d", looked, most)
		}
		time.Sleep(time.Second)
		if ok, err := g.try(t.Context(), stranger("new"), func() bool { return true }); !ok || err != nil {
			t.Errorf("after the flood: %v %v", ok, err)
		}
	})
}

// Who queues is answered before the server gives up: at once when the turn
// would come too late. Loops of guesses at an address leave known browsers alone.
func TestGateAnswersInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		done := make(chan [2]int)
		for range 6 {
			go func() {
				var looked, refused int
				for ctx.Err() == nil {
					began := time.Now()
					_, err := g.try(ctx, stranger("10.0.0.1:1"), func() bool { looked++; return false })
					if errors.Is(err, errCrowded) {
						refused++
						time.Sleep(100 * time.Millisecond)
					}
					if took := time.Since(began); took > longestWait {
						t.Errorf("waited %s", took)
					}
				}
				done <- [2]int{looked, refused}
			}()
		}
		for range 100 {
			time.Sleep(5 * time.Second)
			began := time.Now()
			if ok, err := g.try(ctx, caller{place: "maja", known: true}, func() bool { return true }); !ok || err != nil || time.Since(began) != 0 {
				t.Errorf("a known browser: %v %v after %s", ok, err, time.Since(began))
			}
		}
		var looked, refused int
		for range 6 {
			one := <-done
			looked, refused = looked+one[0], refused+one[1]
		}
		if looked < 20 || looked > 27 || refused == 0 { // 7 until the penalty is 30 s, then 2 a minute
			t.Errorf("%d looked at, %d refused", looked, refused)
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
