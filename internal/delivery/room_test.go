package delivery

import (
	"context"
	"testing"

	"pgregory.net/rapid"
)

// A model of the sender: whatever arrives, is kept or ends, leaves in a batch
// or never comes, what is asked for and what waits never exceed the size, and
// room that is worth a pull is always given.
func TestRoomNeverOverdraws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 100).Draw(t, "size")
		r := newRoom(size)
		asked, waiting := 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				if n := r.take(ready(r)); n > 0 {
					asked += n
				} else if free := size - asked - waiting; free >= (size+1)/2 || free > 0 && asked == 0 {
					t.Fatalf("%d of %d places are free, %d asked for, and no pull", free, size, asked)
				}
			case 1:
				if asked > 0 {
					asked--
					waiting++
					r.arrived(true)
				}
			case 2:
				if asked > 0 {
					asked--
					r.arrived(false)
				}
			case 3:
				n := rapid.IntRange(0, waiting).Draw(t, "sent")
				waiting -= n
				r.sent(n)
			case 4:
				n := rapid.IntRange(0, asked).Draw(t, "missed")
				asked -= n
				r.missed(n)
			}
			if asked+waiting > size {
				t.Fatalf("%d asked for and %d waiting, with room for %d", asked, waiting, size)
			}
		}
	})
}

// ready is a context that lets take look once: it has ended when there is no
// room to be had.
func ready(r *room) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.worthAPull() {
		return context.Background()
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return ended
}
