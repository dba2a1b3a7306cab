package main

import (
	"fmt"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// What is purged, and who is erased, while a slow replay runs is not sent any
// more, although the replay had read ahead.
func TestReplaySendsNothingThatWasRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.Worker()
	var early []string
	for i := range 20 {
		early = append(early, fmt.Sprint("early-", i))
	}
	w.dead(early...)
	for i := range 30 {
		w.Die(dlq.Letter{Provider: event.Courier, Code: "http_400", Reason: "too late", Body: []byte(only(event.Courier, fmt.Sprint("late-", i)))})
	}
	w.dead("erased", "last")
	done := make(chan ended)
	go func() { done <- w.dlq("", "replay", "--all", "--yes", "--trial", "0", "--rate", "25") }()
	brokertest.Eventually(t, "the replay runs", func() bool { return w.Fake.Report().Courier.Accepted >= 2 })
	w.dlq("", "purge", "--reason", "too late", "--yes").want(t, 0, "30 letters removed")
	w.dlq("user-erased\n", "erase", "--user", "-", "--yes").want(t, 0, "erased: 1 letter and 0 events")
	(<-done).want(t, 0, "52 letters: 21 replayed (21 delivered)", "31 removed by somebody else")
	w.once(append(early, "last")...)
	w.dlq("user-erased\n", "erase", "--user", "-", "--yes").want(t, 0, "nothing is stored of this person")
}
