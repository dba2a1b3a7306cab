package main

import (
	"fmt"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/broker"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// BenchmarkImport imports 100 000 events; the broker shares the processors.
func BenchmarkImport(b *testing.B) {
	input := jsonLines(1, 100_000)
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync-always=%v", sync), func(b *testing.B) {
			b.SetBytes(int64(len(input)))
			for b.Loop() {
				b.StopTimer()
				served := brokertest.Start(b, broker.Settings{SyncAlways: sync})
				w := newWorldOn(b, served, []string{"NATS_URL=" + served.URL()})
				file := w.write(b, "events.jsonl", input)
				b.StartTimer()
				w.run(bounded(b), "", "import", file).want(b, 0, "imported: 100000 events stored")
			}
		})
	}
}
