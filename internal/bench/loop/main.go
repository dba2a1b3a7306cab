// Command loop is the featureless loop that the worker is measured against:
// pull; decode with encoding/json into the needed fields; encode; post; ack
// without waiting. It has the worker's batches and its number of open calls,
// and none of its promises: no validation, no retry, no letters, no holds, no
// metrics, no log.
//
// It is what a Go programmer writes with the two usual clients, net/http and
// nats.go, when speed matters and nothing goes wrong. It imports nothing of
// ours, so that its memory is its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var s settings
	flag.StringVar(&s.nats, "nats", "", "URL of the broker")
	flag.StringVar(&s.providers, "providers", "clevertap,courier", "which to deliver to, comma separated")
	flag.StringVar(&s.clevertap, "clevertap", "", "base URL of CleverTap")
	flag.StringVar(&s.courier, "courier", "", "base URL of Courier")
	flag.Parse()
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

type settings struct {
	nats, providers, clevertap, courier string
}

// run delivers until ctx ends; what is in a call then is still acknowledged.
func run(ctx context.Context, s settings) error {
	conn, err := nats.Connect(s.nats)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for name := range strings.SplitSeq(s.providers, ",") {
		cons, err := js.CreateOrUpdateConsumer(ctx, "TOKENS", jetstream.ConsumerConfig{
			Durable:        "loop-" + name,
			FilterSubjects: []string{"tokens.registered", "tokens.registered." + name},
			AckPolicy:      jetstream.AckExplicitPolicy,
			MaxAckPending:  10_000,
		})
		if err != nil {
			return err
		}
		switch name {
		case "clevertap":
			group.Go(func() error { return cleverTap(ctx, cons, s.clevertap+"/1/upload") })
		case "courier":
			group.Go(func() error { return courier(ctx, cons, s.courier) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return conn.Flush() // the acks
}
