package dlq_test

import (
	"bytes"
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
	letters := count("LETTERS", 1_000_000)
	_, js := brokertest.Connect(b, brokertest.StartProcess(b).URL())
	w := declared(b, js)
	w.fill(letters)
	runtime.GC()
	r := w.reader()
	peak := watchMemory()
	b.ResetTimer()
	for range b.N {
		groups, err := r.Groups(context.Background(), dlq.Filter{}, dlq.End)
		if err != nil || len(groups) != 5 {
			b.Fatalf("%d groups, %v", len(groups), err)
		}
	}
	b.StopTimer()
	b.ReportMetric(peak(), "MiB-peak")
	b.ReportMetric(float64(letters)*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}

// BenchmarkNewest lists letters, newest first, as `dlq list --limit 0` does:
// LETTERS small ones (100 000 by default), and the worst case, 6000 letters of
// 62 KB under 26 000 small ones of another code.
//
//	go test -run '^$' -bench Newest -benchtime 1x ./dlq
func BenchmarkNewest(b *testing.B) {
	for name, c := range map[string]struct {
		small, large int
		filter       dlq.Filter
	}{
		"small": {count("LETTERS", 100_000), 0, dlq.Filter{}},
		"large": {26_000, 6000, dlq.Filter{Code: "http_400"}},
	} {
		b.Run(name, func(b *testing.B) {
			_, js := brokertest.Connect(b, brokertest.StartProcess(b).URL())
			w := declared(b, js)
			w.fillLarge(c.large, 62_000)
			w.fill(c.small)
			want := c.large
			if want == 0 {
				want = c.small
			}
			runtime.GC()
			r, peak := w.reader(), watchMemory()
			b.ResetTimer()
			for range b.N {
				n := 0
				for _, err := range r.Newest(context.Background(), c.filter, dlq.End, dlq.Whole) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != want {
					b.Fatalf("%d letters, want %d", n, want)
				}
			}
			b.StopTimer()
			b.ReportMetric(peak(), "MiB-peak")
			b.ReportMetric(float64(want)*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
		})
	}
}

func count(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

// watchMemory watches until its function is called, which returns the MiB that
// this process had at most.
func watchMemory() func() float64 {
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
	return func() float64 {
		close(stop)
		return float64(<-peak) / (1 << 20)
	}
}

// fillLarge puts n letters of so many bytes, of the code http_400.
func (w *world) fillLarge(n, size int) {
	w.t.Helper()
	for i := range n {
		m := nats.NewMsg(dlq.Subject("courier", "http_400"))
		m.Data = bytes.Repeat([]byte{'x'}, size)
		m.Header.Set(dlq.HeaderID, fmt.Sprint("large-", i))
		if _, err := w.js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
			w.t.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
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
