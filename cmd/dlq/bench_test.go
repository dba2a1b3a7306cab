package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// BenchmarkLiveBesideReplay registers 200 devices a second, first alone and
// then while LETTERS letters (50 000 by default) are replayed, and prints how
// long 99 % of them waited for CleverTap at most. Calls take 200 ms; the batch
// wait is the default, 500 ms.
//
//	go test -run '^$' -bench LiveBesideReplay -benchtime 1x ./cmd/dlq
func BenchmarkLiveBesideReplay(b *testing.B) {
	letters := 50_000
	if text := os.Getenv("LETTERS"); text != "" {
		letters, _ = strconv.Atoi(text)
	}
	for range b.N {
		w := newWorld(b, "PROVIDERS=clevertap", "CLEVERTAP_BATCH_WAIT=500ms", "HTTP_TIMEOUT=10s", "PERMIT_LEASE=30s")
		if err := w.Fake.SetRules(sandbox.Rule{Effect: sandbox.Latency, Delay: 200 * time.Millisecond}); err != nil {
			b.Fatal(err)
		}
		w.fillLetters(letters)
		w.Worker()

		alone := w.live("alone", time.After(15*time.Second))
		replayed := make(chan time.Time)
		var done ended
		began := time.Now()
		go func() {
			defer close(replayed)
			var out, problems bytes.Buffer
			code := run(context.Background(), []string{"replay", "--all", "--yes", "--trial", "5"}, w.Environment(), strings.NewReader(""), &out, &problems)
			done = ended{code, out.String(), problems.String()}
		}()
		beside := w.live("beside", replayed)
		took := time.Since(began)
		done.want(b, 0, "0 left")
		b.ReportMetric(alone.Seconds()*1000, "ms-p99-alone")
		b.ReportMetric(beside.Seconds()*1000, "ms-p99-beside")
		b.ReportMetric(float64(letters)/took.Seconds(), "letters/s")
		if rise := beside - alone; rise > 500*time.Millisecond {
			b.Errorf("live events wait %s longer beside a replay, more than one batch wait", rise)
		}
	}
}

// live registers 200 devices a second until the end, and returns within what
// time 99 % of them had been accepted.
func (w *world) live(name string, end <-chan time.Time) time.Duration {
	w.T.Helper()
	sent := map[string]time.Time{}
	var mu sync.Mutex
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			token := fmt.Sprintf("live-%s-%06d", name, i)
			mu.Lock()
			sent[token] = time.Now()
			mu.Unlock()
			if _, err := w.Broker.JS.PublishAsync(consumer.EventsSubject, []byte(only(event.CleverTap, token)), jetstream.WithStallWait(time.Minute)); err != nil {
				w.T.Fatal(err)
			}
			continue
		case <-end:
		}
		break
	}
	var waited []time.Duration
	brokertest.Eventually(w.T, "all live events are accepted", func() bool {
		waited = nil
		for _, record := range w.Fake.Accepted(event.CleverTap) {
			if at, ours := sent[record.Token]; ours {
				waited = append(waited, record.At.Sub(at))
			}
		}
		return len(waited) == len(sent)
	})
	slices.Sort(waited)
	w.T.Logf("%s: %d live events, p50 %s, p99 %s, longest %s", name, len(waited), waited[len(waited)/2].Round(time.Millisecond),
		waited[len(waited)*99/100].Round(time.Millisecond), waited[len(waited)-1].Round(time.Millisecond))
	return waited[len(waited)*99/100]
}

// fillLetters puts letters without waiting for each.
func (w *world) fillLetters(n int) {
	w.T.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for i := range n {
		m := nats.NewMsg(dlq.Subject(event.CleverTap, "531"))
		m.Data = []byte(only(event.CleverTap, fmt.Sprintf("dead-%06d", i)))
		m.Header = nats.Header{
			dlq.HeaderID: {fmt.Sprintf("clevertap:1700000000000000000:%d", i)}, dlq.HeaderReason: {"CleverTap: 531: Invalid token"}, dlq.HeaderGeneration: {"0"},
			dlq.HeaderFailedAt: {now}, dlq.HeaderFirstFailedAt: {now}, dlq.HeaderOriginStream: {consumer.EventsStream}, dlq.HeaderOriginSeq: {strconv.Itoa(10_000_000 + i)},
			dlq.HeaderHistory: {`[{"code":"531","at":"2026-01-31T12:00:00Z"}]`},
		}
		if _, err := w.Broker.JS.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
			w.T.Fatal(err)
		}
	}
	<-w.Broker.JS.PublishAsyncComplete()
}
