package flow

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// The fleet's board forgets everything when it cannot tell what its bucket is
// now; the watch does not forget the permits for that.
func TestPermitsStandWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	w := NewWatch(Settings{JS: brokertest.New(t).JS})
	w.last.Providers[0].Permits = []Permit{{Number: 1, Holder: "pod-1"}}
	w.refused[ofBacklog] = "no answer"
	for range 2 {
		w.show()
		if held := w.Now().Providers[0].Permits; len(held) != 1 || held[0].Holder != "pod-1" {
			t.Errorf("while it is away: %+v", held)
		}
	}
	w.refused[ofBacklog] = ""
	w.show()
	if held := w.Now().Providers[0].Permits; len(held) != 0 {
		t.Errorf("when it is back: %+v", held)
	}
}

func TestWhatRefusesTheLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.EOF, false},
		{nats.ErrStaleConnection, false},
		{nats.ErrPermissionViolation, false},
		{nats.ErrAuthorization, true},
		{fmt.Errorf("said: %w", nats.ErrAuthExpired), true},
		{nats.ErrAuthRevoked, true},
		{nats.ErrAccountAuthExpired, true},
		{errors.New("nats: Authorization Violation"), true},
		{errors.New("nats: User Authentication Expired"), true},
		{errors.New("nats: User Authentication Revoked"), true},
		{errors.New("nats: Account Authentication Expired"), true},
	} {
		if got := refusesLogin(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}

// The broker's clock may be ahead of ours; whatever it is, what waits gets older.
func TestTheOldestWaitsOn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for stored, want := range map[time.Duration]time.Duration{
		-time.Minute: 2 * time.Minute,
		time.Hour:    time.Minute,
	} {
		var p Provider
		answer{known: true, waiting: 1, oldest: now.Add(stored), at: now}.show(now.Add(time.Minute), &p)
		if p.Oldest != want {
			t.Errorf("stored %s from the answer: %s a minute later, want %s", stored, p.Oldest, want)
		}
	}
	var p Provider
	answer{paused: now.Add(time.Second)}.show(now.Add(time.Minute), &p)
	if !p.PausedUntil.IsZero() || p.Oldest != 0 {
		t.Errorf("a pause that is over: %+v", p)
	}
}
