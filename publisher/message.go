package publisher

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
)

// Option is something special about one event.
type Option func(*options)

type options struct {
	provider string
	header   nats.Header
}

// To addresses the event to one provider only, whatever its destinations.
func To(provider string) Option {
	return func(o *options) { o.provider = provider }
}

// ReportTo asks every provider to report what became of the event to a
// subject, usually Outcomes.Subject(). Workers honour inboxes only: subjects
// that begin with `_INBOX.`.
func ReportTo(subject string) Option { return Header(OutcomeReplyHeader, subject) }

// Header sets a header of the message.
func Header(name, value string) Option {
	return func(o *options) {
		if o.header == nil {
			o.header = nats.Header{}
		}
		o.header.Set(name, value)
	}
}

func eventMessage(ev event.Event, opts []Option) (*nats.Msg, error) {
	if ev.ID == "" {
		ev.ID = rand.Text()
	}
	if err := checkEvent(&ev, opts); err != nil {
		return nil, fmt.Errorf("publisher: invalid event: %w", err)
	}
	body, err := ev.Encode()
	if err != nil {
		return nil, fmt.Errorf("publisher: invalid event: %w", err)
	}
	return rawMessage(ev.ID, body, opts)
}

func checkEvent(ev *event.Event, opts []Option) error {
	o := collect(opts)
	if o.provider == "" {
		return ev.Validate()
	}
	one := *ev
	one.Destinations = []string{o.provider}
	return one.Validate()
}

func rawMessage(id string, body []byte, opts []Option) (*nats.Msg, error) {
	if id == "" {
		id = rand.Text()
	}
	if err := checkID("id", id); err != nil {
		return nil, fmt.Errorf("publisher: invalid event: %w", err)
	}
	o := collect(opts)
	m := &nats.Msg{Subject: Subject, Data: body, Header: o.header}
	if o.provider != "" {
		if !slices.Contains(event.Providers(), o.provider) {
			return nil, fmt.Errorf("publisher: unknown provider %q: must be one of %s", o.provider, strings.Join(event.Providers(), ", "))
		}
		m.Subject = ProviderSubject(o.provider)
	}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header.Set(jetstream.MsgIDHeader, id)
	return m, nil
}

// checkID refuses what a header would lose: with it two ids could become one.
func checkID(field, id string) error {
	if strings.TrimSpace(id) != id || strings.ContainsFunc(id, unicode.IsControl) {
		return &event.Violation{Field: field, Problem: "white space at an end or a control character in it; neither is allowed"}
	}
	return nil
}

// CanWriteHeader tells whether the client would send a header of this name.
// Other clients send more: a message that carries such a name on would never
// be stored. The rule is that of isHeaderKeyValid in nats.go.
func CanWriteHeader(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"()/,:;<=>?@[\]{}`, r)
	})
}

func collect(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
