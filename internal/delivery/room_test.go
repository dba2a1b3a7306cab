package delivery

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// pulled is a pull under way, and what the server may still send for it.
type pulled struct {
	order
	more, room int // messages and bytes
}

// roomModel is a sender and the server beside the room that it keeps.
type roomModel struct {
	*room
	size, limit     int
	pulls           []*pulled
	waiting         int // messages in the batch
	batched, called int // bytes in the batch and in calls
}

func (m *roomModel) openPulls() (messages, bytes int) {
	for _, p := range m.pulls {
		messages += p.more
		bytes += p.room
	}
	return messages, bytes
}

func (m *roomModel) pull(t *rapid.T) {
	messages, bytes := m.openPulls()
	o := m.take(ready(m.room))
	switch {
	case o.messages > 0 && o.bytes < consumer.Largest:
		t.Fatalf("an order of %d bytes: the largest message would never come", o.bytes)
	case o.messages > 0:
		m.pulls = append(m.pulls, &pulled{o, o.messages, o.bytes})
	case len(m.pulls) == 0 && m.waiting+messages < m.size && m.batched+m.called+bytes+consumer.Largest <= m.limit:
		t.Fatalf("%d of %d messages and %d of %d bytes in hand, and no pull", m.waiting, m.size, m.batched+m.called, m.limit)
	}
}

// arrive is what the first pull brings, if there is a pull and it fits.
func (m *roomModel) arrive(bytes int, kept bool) {
	if len(m.pulls) == 0 || m.pulls[0].more == 0 || bytes > m.pulls[0].room {
		return
	}
	m.pulls[0].more--
	m.pulls[0].room -= bytes
	m.arrived(kept, bytes)
	if kept {
		m.waiting++
		m.batched += bytes
	}
}

// end is a pull's end: it brought all, or the next message does not fit.
func (m *roomModel) end(t *rapid.T) {
	if len(m.pulls) == 0 {
		return
	}
	p := m.pulls[0]
	m.pulls = m.pulls[1:]
	exhausted := m.over(p.order, p.more)
	worth := m.batched+m.called+consumer.Largest <= m.limit && m.waiting < m.size
	if len(m.pulls) == 0 && exhausted == worth {
		t.Fatalf("exhausted: %v; %d of %d messages and %d of %d bytes in hand", exhausted, m.waiting, m.size, m.batched+m.called, m.limit)
	}
}

func (m *roomModel) leave() {
	m.sent(m.waiting)
	m.waiting, m.called, m.batched = 0, m.called+m.batched, 0
}

func (m *roomModel) finish() {
	m.done(m.called)
	m.called = 0
}

// A model of the sender: whatever arrives, is kept or ends, leaves in a batch
// or never comes, what may still come and what is in hand never exceed the
// size and the limit, and room that is worth a pull is always given.
func TestRoomNeverOverdraws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 100).Draw(t, "size")
		limit := rapid.IntRange(consumer.Largest, 4<<20).Draw(t, "limit")
		m := &roomModel{room: newRoom(size, limit), size: size, limit: limit}
		sizes := rapid.OneOf(rapid.IntRange(1, 2000), rapid.IntRange(1, consumer.Largest))
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0:
				m.pull(t)
			case 1:
				m.arrive(sizes.Draw(t, "bytes"), false)
			case 2, 3, 4:
				m.arrive(sizes.Draw(t, "bytes"), true)
			case 5:
				m.leave()
			case 6:
				m.finish()
			case 7:
				m.end(t)
			}
			messages, bytes := m.openPulls()
			if messages += m.waiting; messages > size {
				t.Fatalf("%d messages asked for or waiting, with room for %d", messages, size)
			}
			if bytes += m.batched + m.called; bytes > limit {
				t.Fatalf("%d bytes asked for or in hand, with room for %d", bytes, limit)
			}
		}
		for len(m.pulls) > 0 {
			m.end(t)
		}
		m.leave()
		m.finish()
		if m.left != size || m.bytes != limit || m.asked != 0 {
			t.Fatalf("%d places, %d bytes and %d asked for at the end; want %d, %d and none", m.left, m.bytes, m.asked, size, limit)
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
