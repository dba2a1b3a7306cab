package replay

import (
	"strconv"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// moment is when an event came, as far as that is known. Which of two events
// is the newer one decides whether an old token may go.
type moment struct {
	registered int64  // registered_at, in nanoseconds; 0 when the event does not say
	position   uint64 // in the events' stream, of the event's first appearance there
	placed     bool   // the position is known
	at         int64  // when the stream stored it, or at the latest when it first died
}

// newer reports whether an event came after another. The app's word counts
// when both have it, else their places in the stream; a replay stands where
// its event stood. Time is the last resort.
func (a moment) newer(than moment) bool {
	switch {
	case a.registered != 0 && than.registered != 0:
		return a.registered > than.registered
	case a.placed && than.placed:
		return a.position > than.position
	}
	return a.at > than.at
}

// placeOf reads the place of a letter's event out of its id,
// `<provider>:<creation time of the stream>:<sequence>`. An event of a stream
// that was made anew since is older than everything in the present one.
func placeOf(id string, created time.Time) (position uint64, known bool) {
	parts := strings.Split(id, ":")
	if len(parts) != 3 {
		return 0, false
	}
	stream, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return 0, false
	}
	position, err = strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return 0, false
	}
	if stream != created.UnixNano() {
		position = 0
	}
	return position, true
}

// identity is what two events have in common when the newer one replaces the
// older at a provider; empty when there is nothing to compare.
func identity(provider string, ev *event.Event) string {
	who, kind := ev.ObjectID, ev.Type
	if provider == event.Courier {
		who, kind = ev.UserID, ev.CourierKey()
	}
	if who == "" {
		return ""
	}
	device := ""
	if ev.Device != nil {
		device = ev.Device.DeviceID
	}
	return strings.Join([]string{provider, who, kind, device}, "\x00")
}

// registeredAt is registered_at in nanoseconds, or 0.
func registeredAt(ev *event.Event) int64 {
	if t, given := ev.Registered(); given {
		return t.UnixNano()
	}
	return 0
}
