package scan_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/internal/broker"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// filled is a broker with a stream of n messages, on s.a and s.b in turns.
func filled(t *testing.T, n int) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, broker.Settings{SyncAlways: false})
	if _, err := b.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := b.JS.Publish(t.Context(), "s."+string("ba"[i%2]), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func sequences(t *testing.T, js jetstream.JetStream, r scan.Range) []uint64 {
	t.Helper()
	var list []uint64
	for m, err := range scan.Messages(t.Context(), js, r) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m.Seq)
	}
	return list
}

func from(first, last uint64) []uint64 {
	var list []uint64
	for ; first <= last; first++ {
		list = append(list, first)
	}
	return list
}

func TestRanges(t *testing.T) {
	t.Parallel()
	b := filled(t, 1203) // over two batches
	for name, c := range map[string]struct {
		r    scan.Range
		want []uint64
	}{
		"all":            {scan.Range{Stream: "S"}, from(1, 1203)},
		"from":           {scan.Range{Stream: "S", From: 1200}, from(1200, 1203)},
		"to":             {scan.Range{Stream: "S", To: 3}, from(1, 3)},
		"a batch":        {scan.Range{Stream: "S", To: 500}, from(1, 500)},
		"one":            {scan.Range{Stream: "S", From: 7, To: 7}, []uint64{7}},
		"behind the end": {scan.Range{Stream: "S", From: 2000}, nil},
		"empty":          {scan.Range{Stream: "S", From: 7, To: 6}, nil},
		"subject":        {scan.Range{Stream: "S", To: 6, Subjects: []string{"s.a"}}, []uint64{2, 4, 6}},
		"no such":        {scan.Range{Stream: "S", Subjects: []string{"s.c"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sequences(t, b.JS, c.r); !slices.Equal(got, c.want) {
				t.Errorf("got %d messages %v", len(got), got)
			}
		})
	}
}

func TestOfAMessage(t *testing.T) {
	t.Parallel()
	b := filled(t, 1)
	for _, headersOnly := range []bool{false, true} {
		for m, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S", HeadersOnly: headersOnly}) {
			if err != nil || m.Subject != "s.b" || time.Since(m.Stored) > time.Minute || (string(m.Data) == "x") == headersOnly {
				t.Errorf("%+v, %v", m, err)
			}
		}
	}
}

// Messages may vanish under a scan; it ends all the same.
func TestEndsWhenTheRestIsDeleted(t *testing.T) {
	t.Parallel()
	b := filled(t, 600)
	stream, err := b.JS.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for m, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S"}) {
		if err != nil {
			t.Fatal(err)
		}
		if last = m.Seq; last == 10 {
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last < 10 || last > 500 {
		t.Errorf("ended at %d", last)
	}
}

// What comes while a scan runs is not its own: it might never catch up.
func TestEndsWhereTheStreamEndedAsItBegan(t *testing.T) {
	t.Parallel()
	for _, stored := range []int{0, 3} {
		b := filled(t, stored)
		var got []uint64
		for m, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S"}) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, m.Seq); len(got) > stored {
				break
			}
			if _, err := b.JS.Publish(t.Context(), "s.a", []byte("later")); err != nil {
				t.Fatal(err)
			}
		}
		if want := from(1, uint64(stored)); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestGoesOnAfterTheBroker(t *testing.T) {
	t.Parallel()
	b := filled(t, 1800)
	var got []uint64
	for m, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Seq)
		if m.Seq == 700 {
			if err := b.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(got, from(1, 1800)) {
		t.Errorf("%d messages", len(got))
	}
}

// The server forgets a reader whose caller was busy for long.
func TestGoesOnWithoutItsReader(t *testing.T) {
	t.Parallel()
	b := filled(t, 1300)
	stream, err := b.JS.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for m, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S"}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, m.Seq); m.Seq%500 == 7 {
			for name := range stream.ConsumerNames(t.Context()).Name() {
				if err := b.JS.DeleteConsumer(t.Context(), "S", name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if !slices.Equal(got, from(1, 1300)) {
		t.Errorf("%d messages", len(got))
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	b := filled(t, 5)
	for _, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "T"}) {
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("a missing stream: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for _, err := range scan.Messages(ctx, b.JS, scan.Range{Stream: "S"}) {
		cancel()
		if seen++; seen > 1 && !errors.Is(err, context.Canceled) {
			t.Errorf("message %d: %v", seen, err)
		}
	}
	if seen != 2 {
		t.Errorf("%d turns of the loop, want a message and the error", seen)
	}
}

// The server does not keep the readers of scans that are over.
func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	b := filled(t, 5)
	sequences(t, b.JS, scan.Range{Stream: "S"})
	for _, err := range scan.Messages(t.Context(), b.JS, scan.Range{Stream: "S"}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	stream, err := b.JS.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d readers left", n)
	}
}

// Who leaves the loop when ctx has ended is not called again.
func TestLeavingAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := filled(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for _, err := range scan.Messages(ctx, b.JS, scan.Range{Stream: "S"}) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		cancel()
		break
	}
	if seen != 1 {
		t.Errorf("%d messages", seen)
	}
}
