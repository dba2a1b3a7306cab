// Package replay puts dead letters back into the stream: a few of each group
// as a trial first, then the rest, slowly where live events wait, and none
// twice. It stops by itself where the same error returns.
//
// It knows letters, the events' stream and the workers' reports; it refuses to
// know providers: who asks one in a dry run hands in how. A Plan owns the
// goroutines of its Run, which has ended when Run returns.
package replay

import (
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Options are what to replay, and how carefully. The zero value of a number or
// a duration means: no such limit.
type Options struct {
	Filter dlq.Filter
	Change Change // nil: letters go as they are

	MaxGeneration int           // letters that were replayed so often are left
	MaxAge        time.Duration // letters of events registered longer ago are left
	Stale         bool          // neither age nor a newer event holds a letter back

	Trial   int           // letters of a group to replay first; 0 is no trial
	MaxFail int           // deaths, after the trial, that stop a group
	Rate    float64       // letters a second
	Yield   time.Duration // hold back while a live event waits longer than this
	Wait    time.Duration // how long to wait for outcomes without any progress; 0 does not wait
}

// The defaults of `dlq replay`.
const (
	DefaultTrial         = 5
	DefaultMaxFail       = 10
	DefaultMaxGeneration = 3
	DefaultMaxAge        = 7 * 24 * time.Hour
	DefaultYield         = 250 * time.Millisecond
	DefaultWait          = time.Minute
)

// Change alters the event of a letter before it goes. It returns the new body
// and the names of the fields that are different now; no field means that the
// letter goes as it is. An error leaves the letter where it is.
type Change func(*dlq.Stored) (body []byte, fields []string, err error)

// Why is a reason to leave a letter where it is.
type Why uint8

// The reasons.
const (
	TooOften    Why = iota // died in as many replays as are allowed
	TooOld                 // registered too long ago
	Superseded             // a newer event of the same identity, type and device is stored
	Invalid                // its provider could still not take it
	Malformed              // not its event but the letter is wrong, so that no correction helps
	TrialFailed            // one of its group died again in the trial
	TrialOpen              // the trial of its group has no outcome yet
	Stopped                // too many of its group died again
	Unconfirmed            // the broker did not confirm the replay, or refused it
	Forgotten              // the stream remembers an earlier replay that is not there any more
	Occupied               // the stream remembers another event under the message ids of its replay
	Unproven               // what would prove that it was replayed already went meanwhile
	Unanswered             // of those that went before no outcome came any more
	NotReached             // the run ended before its turn
	whys
)

func (w Why) String() string {
	return [...]string{
		"replayed as often as --max-generation allows, and died each time",
		"older than --max-age (--stale replays them all the same)",
		"a newer event of the same identity, type and device is stored (--stale replays them all the same)",
		"the provider could still not take the event: correct it with --set or --edit",
		"the letter itself is wrong, and not its event: export it, correct the line and import that, or purge it",
		"the trial died again",
		"the trial has no outcome yet",
		"stopped: as many died again as --max-fail allows",
		"the broker did not take the replay",
		"replayed within the last hour, and that replay was removed from the stream: run it again in an hour",
		"another event was stored under the message ids of its replay within the last hour: run it again in an hour",
		"maybe replayed by another run, which could not be told any more: run it again",
		"no outcome came any more of those that went before (--wait)",
		"the run ended before their turn",
	}[w]
}

// Whys lists every reason, in the order in which a person wants them.
func Whys() []Why {
	list := make([]Why, whys)
	for i := range list {
		list[i] = Why(i)
	}
	return list
}
