package delivery

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// What becomes of a record that is parked for ten seconds.
func TestParkedRecord(t *testing.T) {
	t.Parallel()
	const delay, never = 10 * time.Second, time.Duration(math.MaxInt64)
	for name, c := range map[string]struct {
		expires time.Duration // of the record
		takes   time.Duration // when the only sender is free
		leaves  time.Duration // when it has left
		closes  time.Duration // when the desk stops
		want    string
		after   time.Duration
	}{
		"a sender takes it":                  {never, 0, never, never, "sent", delay},
		"a sender takes it when it is free":  {never, time.Minute, never, never, "sent", time.Minute},
		"the sender has left":                {never, never, time.Second, never, "given back", delay},
		"the sender leaves without it":       {never, never, time.Minute, never, "given back", time.Minute},
		"it expires while it is parked":      {time.Second, 0, never, never, "expired", time.Second},
		"it expires while no sender is free": {time.Minute, never, never, never, "expired", time.Minute},
		"it expires without a sender":        {5 * time.Second, never, time.Second, never, "expired", 5 * time.Second},
		"the desk stops while it is parked":  {never, never, never, time.Second, "given back", time.Second},
		"the desk stops while it is offered": {never, never, never, time.Minute, "given back", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, singles, became := time.Now(), make(chan *item), make(chan string, 2)
				end := func(how string) func(*item) { return func(*item) { became <- how } }
				lot := newParkingLot(1, singles, ends{
					untilExpiry: func(*item) time.Duration { return c.expires - time.Since(began) },
					expire:      end("expired"), giveBack: end("given back"),
				})
				at := func(when time.Duration, do func()) {
					timer := time.AfterFunc(when, do)
					t.Cleanup(func() { timer.Stop() })
				}
				at(c.leaves, lot.enter())
				at(c.closes, lot.close)
				at(c.takes, func() {
					select {
					case <-singles:
						became <- "sent"
					case <-t.Context().Done():
					}
				})
				if !lot.park(&item{}, delay) || lot.park(&item{}, delay) {
					t.Fatal("a lot for one took none, or two")
				}
				if got := <-became; got != c.want || time.Since(began) != c.after {
					t.Errorf("%s after %s, want %s after %s", got, time.Since(began), c.want, c.after)
				}
				synctest.Wait()
				if c.closes == never && !lot.park(&item{}, 0) {
					t.Error("its place is still taken")
				}
				if c.closes == never {
					lot.close()
				}
			})
		})
	}
}
