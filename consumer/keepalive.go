package consumer

import "sync"

const (
	// ticksPerAckWait is how often the keep-alive looks at what is held. What
	// it has not touched for two ticks it touches: after a quarter of the ack
	// wait at the latest.
	ticksPerAckWait = 8
	dueAfter        = 2

	// A burst is touched under one lock, so that settling never waits long.
	touchBurst = 64
)

// keepAlive is the list of messages that are held, the longest untouched one
// first. Adding and removing cost a lock and four pointers.
type keepAlive struct {
	mu   sync.Mutex
	root Message // sentinel of a ring
	held int
	tick uint64
}

func newKeepAlive() *keepAlive {
	k := &keepAlive{}
	k.root.prev, k.root.next = &k.root, &k.root
	return k
}

func (k *keepAlive) add(m *Message) {
	k.mu.Lock()
	k.held++
	k.append(m)
	k.mu.Unlock()
}

func (k *keepAlive) remove(m *Message) {
	k.mu.Lock()
	if m.next != nil {
		k.held--
		k.unlink(m)
	}
	k.mu.Unlock()
}

func (k *keepAlive) size() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// round starts the next tick and calls touch for every message that is due,
// or for every one. A message for which touch returns false is not held any
// longer. Touch runs under the lock: nothing settles between the look and the
// call.
func (k *keepAlive) round(all bool, touch func(*Message) bool) {
	k.mu.Lock()
	k.tick++
	k.mu.Unlock()
	for k.burst(all, touch) {
	}
}

// burst touches some and reports whether there may be more.
func (k *keepAlive) burst(all bool, touch func(*Message) bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range touchBurst {
		m := k.root.next
		// Whatever came or was touched in this tick is at the end.
		if m == &k.root || m.touched == k.tick || !all && k.tick-m.touched < dueAfter {
			return false
		}
		k.unlink(m)
		if touch(m) {
			k.append(m)
		} else {
			k.held--
		}
	}
	return true
}

func (k *keepAlive) append(m *Message) {
	m.touched = k.tick
	m.prev, m.next = k.root.prev, &k.root
	m.prev.next, k.root.prev = m, m
}

func (k *keepAlive) unlink(m *Message) {
	m.prev.next, m.next.prev = m.next, m.prev
	m.prev, m.next = nil, nil
}
