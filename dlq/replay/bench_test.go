package replay

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// BenchmarkPrepare plans the replay of LETTERS letters (a million by default)
// beside half as many events, and prints what the plan keeps in memory. The
// broker is a process of its own.
//
//	go test -run '^$' -bench Prepare -benchtime 1x ./dlq/replay
func BenchmarkPrepare(b *testing.B) {
	n := 1_000_000
	if text := os.Getenv("LETTERS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	_, js := brokertest.Connect(b, brokertest.StartProcess(b).URL())
	ctx := context.Background()
	if _, err := consumer.Ensure(ctx, js, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		b.Fatal(err)
	}
	publish := func(m *nats.Msg) {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	at := time.Now().UTC().Format(time.RFC3339Nano)
	for i := range n {
		body := fmt.Appendf(nil, `{"user_id":"u%[1]d","object_id":"o%[1]d","token":"t%[1]d","type":"fcm"}`, i)
		m := nats.NewMsg(dlq.Subject(event.CleverTap, []string{"530", "531"}[i%2]))
		m.Data = body
		m.Header = nats.Header{dlq.HeaderID: {fmt.Sprintf("clevertap:1700000000000000000:%d", i)}, dlq.HeaderGeneration: {"0"}, dlq.HeaderFailedAt: {at},
			dlq.HeaderFirstFailedAt: {at}, dlq.HeaderReason: {"CleverTap: 531: Invalid token"}, dlq.HeaderHistory: {`[{"code":"531","at":"2026-01-31T12:00:00Z"}]`}}
		publish(m)
		if i%2 == 0 { // every other user has registered again since
			again := nats.NewMsg(consumer.EventsSubject)
			again.Data = body
			publish(again)
		}
	}
	<-js.PublishAsyncComplete()
	letters, err := dlq.Open(ctx, js)
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for range b.N {
		plan, err := Prepare(ctx, js, letters, Options{MaxAge: DefaultMaxAge, MaxGeneration: DefaultMaxGeneration})
		if err != nil {
			b.Fatal(err)
		}
		if plan.Ready() != n/2 || plan.Left() != n-n/2 {
			b.Fatalf("%d ready, %d left", plan.Ready(), plan.Left())
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(plan)
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/letter")
	b.ReportMetric(float64(after.Sys-after.HeapReleased)/(1<<20), "MiB-at-the-end")
}
