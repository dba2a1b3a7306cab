package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// sendCommand publishes one event.
type sendCommand struct {
	Event   eventFlags    `embed:"" group:"The event (without any of these: JSON on standard input)"`
	To      string        `choices:"clevertap,courier" placeholder:"PROVIDER" help:"Publish for this provider only, whatever the destinations."`
	Wait    bool          `help:"Wait until every provider has settled the event, and show what became of it."`
	Timeout time.Duration `default:"10s" over:"0" help:"How long to wait for the broker, and with --wait then for the providers."`
	NATS    config.NATS   `embed:"" group:"The broker"`
}

// eventFlags has a flag for each field of an event.
type eventFlags struct {
	ID           string   `name:"id" help:"Idempotency key; made up when missing."`
	Token        string   `help:"The push token. Other users of this machine may see arguments; standard input is private."`
	Type         string   `help:"fcm, apns, gcm, wns, mpns or chrome."`
	UserID       string   `name:"user-id" help:"The user, for Courier."`
	ObjectID     string   `name:"object-id" help:"The CleverTap ID, for CleverTap."`
	ProviderKey  string   `help:"Courier's provider; follows from the type for fcm, gcm and apns."`
	Destination  []string `help:"clevertap or courier; may be given twice or with a comma."`
	KeysP256dh   string   `name:"keys-p256dh" help:"Web push key, for chrome."`
	KeysAuth     string   `name:"keys-auth" help:"Web push secret, for chrome."`
	Properties   string   `placeholder:"JSON" help:"A JSON object, for Courier."`
	ExpiryDate   string   `help:"ISO 8601 date or date-time, or false, for Courier."`
	RegisteredAt string   `help:"RFC 3339 time of the registration."`
	Device       struct {
		AppID        string `name:"app-id" help:"For Courier, like all of device and tracking."`
		AdID         string `name:"ad-id"`
		DeviceID     string `name:"device-id"`
		Platform     string
		Manufacturer string
		Model        string
	} `embed:"" prefix:"device-"`
	Tracking struct {
		OSVersion string `name:"os-version"`
		IP        string `name:"ip"`
		Lat       string
		Long      string
	} `embed:"" prefix:"tracking-"`
}

func (c *sendCommand) run(ctx context.Context, std streams) int {
	if err := c.send(ctx, std); err != nil {
		say(std.err, err)
		return exitFailure
	}
	return exitOK
}

// say prints one line for an error. The package that sends has the program's
// name; once is enough.
func say(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "publisher: %s\n", strings.ReplaceAll(err.Error(), "publisher: ", ""))
}

func (c *sendCommand) send(ctx context.Context, std streams) error {
	ev, err := c.event(std.in)
	if err != nil {
		return err
	}
	nc, err := c.NATS.Connect(ctx, "publisher send")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	p, err := publisher.New(js, publisher.Settings{GiveUp: c.Timeout})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(ctx) }() // nothing is under way then

	var options []publisher.Option
	if c.To != "" {
		options = append(options, publisher.To(c.To))
	}
	var outcomes *publisher.Outcomes
	if c.Wait {
		if outcomes, err = publisher.ListenOutcomes(nc); err != nil {
			return err
		}
		defer func() { _ = outcomes.Close() }()
		options = append(options, publisher.ReportTo(outcomes.Subject()))
	}
	ack, err := p.Publish(ctx, *ev, options...)
	if err != nil {
		if errors.Is(err, publisher.ErrUnconfirmed) {
			return fmt.Errorf("%w: --id %s", err, ack.ID)
		}
		return err
	}
	word := "stored"
	if ack.Duplicate {
		word = "duplicate, stored before"
	}
	_, _ = fmt.Fprintf(std.out, "%s: stream %s, sequence %d, id %s\n", word, ack.Stream, ack.Seq, ack.ID)
	if !c.Wait {
		return nil
	}
	watch := &watcher{js: js, outcomes: outcomes, ack: ack, out: std.out}
	return watch.settled(ctx, c.routes(ev), c.Timeout)
}

// routes lists the providers that have something to do with the event.
func (c *sendCommand) routes(ev *event.Event) []string {
	if c.To != "" {
		return []string{c.To}
	}
	var list []string
	for _, provider := range event.Providers() {
		if route, err := ev.Route(provider); err == nil && route == event.Deliver {
			list = append(list, provider)
		}
	}
	return list
}

// event is the one of the flags, or that of standard input.
func (c *sendCommand) event(stdin io.Reader) (*event.Event, error) {
	if !reflect.ValueOf(c.Event).IsZero() {
		return c.Event.event(), nil
	}
	if terminal.Is(stdin) {
		return nil, errors.New("no event: give flags such as --token, or JSON on standard input")
	}
	body, err := io.ReadAll(io.LimitReader(stdin, event.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	ev, err := event.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("standard input: invalid event: %w", err)
	}
	return ev, nil
}

func (f *eventFlags) event() *event.Event {
	ev := &event.Event{
		ID: f.ID, UserID: f.UserID, ObjectID: f.ObjectID, Token: f.Token, Type: f.Type,
		ProviderKey: f.ProviderKey, Destinations: f.Destination, RegisteredAt: f.RegisteredAt,
		ExpiryDate: expiry(f.ExpiryDate),
	}
	if f.Properties != "" {
		ev.Properties = jsontext.Value(f.Properties)
	}
	if f.KeysP256dh != "" || f.KeysAuth != "" {
		ev.Keys = &event.Keys{P256dh: f.KeysP256dh, Auth: f.KeysAuth}
	}
	if !reflect.ValueOf(f.Device).IsZero() {
		device := event.Device(f.Device)
		ev.Device = &device
	}
	if !reflect.ValueOf(f.Tracking).IsZero() {
		tracking := event.Tracking(f.Tracking)
		ev.Tracking = &tracking
	}
	return ev
}

// expiry is the JSON of a date or of the word false; nothing for nothing.
func expiry(text string) jsontext.Value {
	switch text {
	case "":
		return nil
	case "false":
		return event.NeverExpires()
	}
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return jsontext.Value(text) // no UTF-8 and so no JSON: the event's check says so
	}
	return quoted
}
