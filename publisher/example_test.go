package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// registerToken is called by the login handler. The login never fails for it.
func registerToken(ctx context.Context, p *publisher.Publisher, ev event.Event) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ack, err := p.Publish(ctx, ev)
	var invalid *event.Violation
	switch {
	case err == nil:
		return "stored"
	case errors.As(err, &invalid):
		return "our own mistake: " + invalid.Field // a bug of the app: log it, do not repeat it
	default:
		ev.ID = ack.ID // the same id: should it be stored after all, nothing is stored twice
		later, err := p.PublishAsync(context.WithoutCancel(ctx), ev)
		if err != nil {
			return "for the next login"
		}
		return "in the background: " + later.ID()
	}
}

// A login handler waits for the broker's word, but not for ever.
func Example() {
	url, stop := startBroker()
	defer stop()

	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := publisher.New(js, publisher.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close(context.Background()) }() // waits for what is under way

	fmt.Println(registerToken(context.Background(), p, event.Event{
		ID:       "login-4711",
		UserID:   "user-1",
		ObjectID: "__g5a8f7",
		Token:    "fcm-token-of-the-device",
		Type:     "fcm",
	}))
	fmt.Println(registerToken(context.Background(), p, event.Event{Token: "fcm-token-of-the-device"}))
	// Output:
	// stored
	// our own mistake: destinations
}

// startBroker runs a broker with the stream of events.
func startBroker() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	b, err := broker.Start(broker.Settings{Dir: dir})
	if err != nil {
		panic(err)
	}
	nc, err := nats.Connect(b.URL())
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	_, err = js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "TOKENS", Subjects: []string{"tokens.registered"}})
	if err != nil {
		panic(err)
	}
	return b.URL(), func() {
		b.Stop()
		_ = os.RemoveAll(dir)
	}
}
