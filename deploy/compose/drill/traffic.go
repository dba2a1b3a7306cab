package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rate is how many events a second the drill publishes, beside the service load's.
const rate = 60

// traffic publishes numbered events as any client of NATS could: JSON, a message
// id, and again with that id until it is confirmed. It owns its goroutines; stop
// ends them.
type traffic struct {
	js   jetstream.JetStream
	stop func() // no new events, and waits until those that were sent are confirmed

	mu        sync.Mutex
	confirmed []string // tokens
}

// publishing bounds one try.
const publishing = 3 * time.Second

func startTraffic(ctx context.Context, js jetstream.JetStream) *traffic {
	t := &traffic{js: js}
	sending, stop := context.WithCancel(ctx)
	numbers := make(chan int)
	var senders sync.WaitGroup
	for range 8 { // each waits for its confirmations
		senders.Go(func() {
			for n := range numbers {
				t.publish(ctx, n)
			}
		})
	}
	senders.Go(func() {
		defer close(numbers)
		ticker := time.NewTicker(time.Second / rate)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ticker.C:
			case <-sending.Done():
				return
			}
			select {
			case numbers <- n:
			case <-sending.Done():
				return
			}
		}
	})
	t.stop = func() { stop(); senders.Wait() }
	return t
}

func (t *traffic) publish(ctx context.Context, n int) {
	token := fmt.Sprintf("drill-%06d", n)
	m := nats.NewMsg("tokens.registered")
	m.Header.Set(nats.MsgIdHdr, token)
	m.Data = fmt.Appendf(nil, `{"user_id":"user-%d","object_id":"__g%d","token":%q,"type":"fcm"}`, n, n, token)
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, publishing)
		_, err := t.js.PublishMsg(try, m)
		cancel()
		if err == nil {
			t.mu.Lock()
			t.confirmed = append(t.confirmed, token)
			t.mu.Unlock()
			return
		}
		_ = pause(ctx, 100*time.Millisecond)
	}
}

// tokens that were confirmed so far.
func (t *traffic) tokens() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.confirmed)
}
