package dlq

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/internal/scan"
)

// Stored is a letter as the stream has it.
type Stored struct {
	Seq           uint64    // its place in the dead-letter stream
	StoredAt      time.Time // by the broker's clock
	ID            string    // stays the same over generations
	Provider      string
	Code          string
	Reason        string
	Status        int // HTTP; 0 when none
	FailedAt      time.Time
	FirstFailedAt time.Time
	Generation    int     // how often it was replayed; trials that failed do not count
	Trials        int     // that failed since the last counted replay
	History       []Death // oldest first, this one included
	OriginStream  string
	OriginSeq     uint64      // of the message that died, which for a replayed one is the replay's
	Header        nats.Header // all headers
	Body          []byte      // the event's message, byte for byte; nil where only headers were read
}

// EventHeaders are the names of the headers of the message that died, in their
// order, and not of the letter that was made of it.
func (l *Stored) EventHeaders() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.Header)), func(name string) bool { return name == nats.MsgIdHdr || isLetters(name) })
}

// isLetters reports whether a header tells of a letter, and not of its event.
func isLetters(name string) bool {
	return strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, originalPrefix)
}

// read makes a letter of a message. Whatever it lacks is filled from what the
// stream knows: a letter that cannot be read must still be seen.
func read(m scan.Message) *Stored {
	l := &Stored{Seq: m.Seq, StoredAt: m.Stored, Header: m.Header, Body: m.Data}
	rest, _ := strings.CutPrefix(m.Subject, subjects)
	l.Provider, l.Code, _ = strings.Cut(rest, ".")
	if l.ID = m.Header.Get(HeaderID); l.ID == "" {
		l.ID = fmt.Sprintf("letter:%d", m.Seq)
	}
	l.Reason = oneLine(m.Header.Get(HeaderReason))
	l.OriginStream = m.Header.Get(HeaderOriginStream)
	l.Status = int(number(m.Header, HeaderHTTPStatus))
	l.OriginSeq = number(m.Header, HeaderOriginSeq)
	l.Generation = int(number(m.Header, HeaderGeneration))
	l.Trials = int(number(m.Header, HeaderTrials))
	l.FailedAt = moment(m.Header, HeaderFailedAt, m.Stored)
	l.FirstFailedAt = moment(m.Header, HeaderFirstFailedAt, l.FailedAt)
	_ = json.Unmarshal([]byte(m.Header.Get(HeaderHistory)), &l.History) // else it has none
	return l
}

func number(h nats.Header, name string) uint64 {
	n, err := strconv.ParseUint(h.Get(name), 10, 31)
	if err != nil && name == HeaderOriginSeq {
		n, _ = strconv.ParseUint(h.Get(name), 10, 64)
	}
	return n
}

func moment(h nats.Header, name string, otherwise time.Time) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, h.Get(name)); err == nil {
		return t
	}
	return otherwise
}
