// Package dlq is the dead-letter stream: a letter for each event that a
// provider refused, with its code, its reason and its history.
//
// It knows the letters' subjects and headers, how they are stored, found,
// searched for a person, grouped and removed, what each provider's codes mean
// to a person, and what of an event may be shown: the veil hides the rest. It
// refuses to know how a provider is called, when an event dies and how a letter
// goes back. Purge owns the goroutines of its removals and waits for them;
// nothing else here owns any.
package dlq

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// The headers of a letter. A replayed event carries ID, Generation,
// FirstFailedAt and History on, so that a letter stays the same letter however
// often it comes back.
const (
	HeaderID            = "Dlq-Id"
	HeaderProvider      = "Dlq-Provider"
	HeaderCode          = "Dlq-Code"
	HeaderReason        = "Dlq-Reason"
	HeaderHTTPStatus    = "Dlq-Http-Status"
	HeaderOriginStream  = "Dlq-Origin-Stream"
	HeaderOriginSeq     = "Dlq-Origin-Seq"
	HeaderFailedAt      = "Dlq-Failed-At"
	HeaderFirstFailedAt = "Dlq-First-Failed-At"
	HeaderGeneration    = "Dlq-Generation"
	HeaderHistory       = "Dlq-History"

	// HeaderTrials marks a replayed event as a trial, and its letter as one that
	// died in it: how many trials of this generation there were. A trial that
	// fails does not count as a generation.
	HeaderTrials = "Dlq-Trials"

	subjects          = "tokens.dlq."
	prefix            = "Dlq-"
	originalPrefix    = "Dlq-Original-"
	brokerPrefix      = "Nats-"
	headersLeftOut    = "Dlq-Original-Headers-Left-Out"
	maxReasonBytes    = 256
	maxHistoryEntries = 20
	maxHistoryBytes   = 16 << 10
)

// Subject is where the letters of a provider and a code are stored.
func Subject(provider, code string) string { return subjects + provider + "." + code }

// Letter is an event that died at a provider.
type Letter struct {
	Provider string
	Code     string // [a-z0-9_]{1,32}; anything else is stored as `other`
	Reason   string // one scrubbed line of at most 256 bytes
	Status   int    // HTTP status that it died of; 0 when none
	FailedAt time.Time

	Body          []byte      // the event's message, byte for byte
	Header        nats.Header // the event's own headers
	OriginStream  string
	StreamCreated time.Time // of the origin stream: a stream made anew starts its sequences at 1 again
	OriginSeq     uint64
	Replayed      bool // the message came on the provider's own subject, so its Dlq headers count
}

// Death is one entry of the history: what a generation died of, and what was
// changed before the next.
type Death struct {
	Code   string    `json:"code"`
	At     time.Time `json:"at"`
	Edited []string  `json:"edited,omitzero"` // fields of the event that an operator changed afterwards
}

// Code returns code when it may stand in a subject, else `other`.
func Code(code string) string {
	if code == "" || len(code) > 32 {
		return "other"
	}
	for _, c := range []byte(code) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "other"
		}
	}
	return code
}

// messageID tells the stream which death this is: the same one put twice is
// stored once, while a stream made anew cannot make a new death look old.
func (l *Letter) messageID() string {
	return fmt.Sprintf("%s:%d:%d", l.Provider, l.StreamCreated.UnixNano(), l.OriginSeq)
}

// message is the letter as the dead-letter stream stores it. Without the
// original's headers it always fits, whatever those were.
func (l *Letter) message(withOriginals bool) *nats.Msg {
	code, reason := Code(l.Code), l.Reason
	if code != l.Code {
		reason = "code " + strconv.QuoteToASCII(l.Code) + ": " + reason
	}
	message := nats.NewMsg(Subject(l.Provider, code))
	message.Data = l.Body
	header := message.Header
	if withOriginals {
		copyOriginals(header, l.Header)
	} else {
		header.Set(headersLeftOut, "true")
	}
	failedAt := l.FailedAt.UTC().Format(time.RFC3339Nano)
	id, generation, first := l.messageID(), uint64(0), failedAt
	history := []Death{}
	if l.Replayed {
		if v := l.Header.Get(HeaderID); v != "" {
			id = v
		}
		if n, err := strconv.ParseUint(l.Header.Get(HeaderGeneration), 10, 31); err == nil {
			generation = n
		}
		if trials := l.Header.Get(HeaderTrials); trials != "" && generation > 0 {
			generation--
			header.Set(HeaderTrials, oneLine(trials))
		}
		if v := l.Header.Get(HeaderFirstFailedAt); v != "" {
			first = v
		}
		_ = json.Unmarshal([]byte(l.Header.Get(HeaderHistory)), &history)
	}
	history = append(history, Death{Code: code, At: l.FailedAt.UTC().Truncate(time.Millisecond)})
	history = history[max(0, len(history)-maxHistoryEntries):]
	encoded, _ := json.Marshal(history) // strings and times always encode
	if len(encoded) > maxHistoryBytes { // none of ours: headers may be 64 KiB in all
		encoded, _ = json.Marshal(history[len(history)-1:])
	}

	header.Set(nats.MsgIdHdr, l.messageID())
	header.Set(HeaderID, oneLine(id))
	header.Set(HeaderProvider, l.Provider)
	header.Set(HeaderCode, code)
	header.Set(HeaderReason, oneLine(reason))
	if l.Status != 0 {
		header.Set(HeaderHTTPStatus, strconv.Itoa(l.Status))
	}
	header.Set(HeaderOriginStream, l.OriginStream)
	header.Set(HeaderOriginSeq, strconv.FormatUint(l.OriginSeq, 10))
	header.Set(HeaderFailedAt, failedAt)
	header.Set(HeaderFirstFailedAt, oneLine(first))
	header.Set(HeaderGeneration, strconv.FormatUint(generation, 10))
	header.Set(HeaderHistory, string(encoded))
	return message
}

// copyOriginals carries the event's own headers into the letter. The broker's
// own would refuse or distort the copy (a stored Nats-Expected-Stream makes it
// undeliverable), so they travel under another name; a reply subject is for
// the first reader only.
func copyOriginals(to, from nats.Header) {
	for key, values := range from {
		switch {
		case hasPrefixFold(key, prefix), strings.EqualFold(key, publisher.OutcomeReplyHeader):
		case !publisher.CanWriteHeader(key):
			to.Set(headersLeftOut, "true") // or no letter of it could ever be stored
		case hasPrefixFold(key, brokerPrefix), isClientsOwn(key):
			to[originalPrefix+key] = values
		default:
			to[key] = values
		}
	}
}

// isClientsOwn: clients take a message with such a header and no body for a
// word of the server, and readers would stumble over the letter.
func isClientsOwn(key string) bool {
	return strings.EqualFold(key, "Status") || strings.EqualFold(key, "Description")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// oneLine keeps a header value on its line and within its bytes.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	for len(s) > maxReasonBytes {
		cut := maxReasonBytes
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut]
	}
	return s
}
