package dlq_test

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

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// BenchmarkGroups sorts LETTERS letters (a million by default) into groups in
// one pass and prints the memory that this process had at most. The broker is
// a process of its own.
//
//	go test -run '^$' -bench Groups -benchtime 1x ./dlq
func BenchmarkGroups(b *testing.B) {
	letters := 1_000_000
	if text := os.Getenv("LETTERS"); text != "" {
		letters, _ = strconv.Atoi(text)
	}
	_, js := brokertest.Connect(b, brokertest.StartProcess(b).URL())
	w := declared(b, js)
	w.fill(letters)
	runtime.GC()
	r := w.reader()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
			}
		}
	}()
	b.ResetTimer()
	for range b.N {
		groups, err := r.Groups(context.Background(), dlq.Filter{}, 0)
		if err != nil || len(groups) != 5 {
			b.Fatalf("%d groups, %v", len(groups), err)
		}
	}
	b.StopTimer()
	close(stop)
	b.ReportMetric(float64(<-peak)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(letters)*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}

// fill puts n letters as the workers would, in five groups, without waiting
// for each.
func (w *world) fill(n int) {
	w.t.Helper()
	for i := range n {
		code := []string{"530", "531", "534", "535", "555"}[i%5]
		m := nats.NewMsg(dlq.Subject("clevertap", code))
		m.Data = body(i)
		at := noon().Add(time.Duration(i) * time.Millisecond).Format(time.RFC3339Nano)
		for name, value := range map[string]string{
			dlq.HeaderID: fmt.Sprintf("clevertap:1772366400000000000:%d", i), dlq.HeaderReason: fmt.Sprintf("CleverTap: %s: refused. Skipped record number : %d", code, i%100),
			dlq.HeaderFailedAt: at, dlq.HeaderFirstFailedAt: at, dlq.HeaderGeneration: "0", dlq.HeaderHTTPStatus: "200",
			dlq.HeaderOriginStream: "TOKENS", dlq.HeaderOriginSeq: strconv.Itoa(i), dlq.HeaderHistory: `[{"code":"531","at":"2026-03-01T12:00:00Z"}]`,
		} {
			m.Header.Set(name, value)
		}
		if _, err := w.js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
			w.t.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
}
