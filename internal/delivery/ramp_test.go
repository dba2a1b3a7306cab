package delivery

import (
	"testing"
	"testing/synctest"
)

func TestRampGrowsWithEachAcceptedCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRamp(4)
		for range 4 {
			if !r.enter(t.Context()) {
				t.Fatal("no place before any hold")
			}
		}
		r.restart()
		entered := make(chan struct{}, 8)
		for range 8 {
			go func() {
				if r.enter(t.Context()) {
					entered <- struct{}{}
				}
			}()
		}
		expect := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := len(entered); got != want {
				t.Fatalf("%s: %d calls were let in, want %d", when, got, want)
			}
		}
		for range 3 {
			r.leave(false)
		}
		expect(0, "three of four old calls have left")
		r.leave(false)
		expect(1, "all old calls have left")
		r.leave(true) // 2 may be open
		expect(3, "one was accepted")
		r.leave(false)
		expect(4, "one failed: its place is taken, no more")
		r.leave(true)
		r.leave(true) // 4 may be open, the full number
		expect(8, "two more were accepted")
		for range 4 {
			r.leave(true)
		}
	})
}
