package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// Books are the counts of a finished load, taken where things ended up and not
// from the worker: accepted records at the sandbox, letters and events in the
// streams.
type Books struct {
	Published int
	Took      time.Duration
	Providers map[string]Account
}

// Account is one provider's part of the books.
type Account struct {
	Delivered int // distinct records accepted at the sandbox
	Repeated  int // of the same record again
	Skipped   int // events in the stream that are not addressed to it
	Dead      map[string]uint64
	Refused   map[string]int // at the sandbox, by code
	Waiting   int
	Calls     int
	Records   int // in calls
	PeakOpen  int
}

func (a Account) dead() int {
	sum := 0
	for _, n := range a.Dead {
		sum += int(n)
	}
	return sum
}

// count takes the books of a world that has nothing to do any more.
func (w *World) count(ctx context.Context, since baseline, took time.Duration) (Books, error) {
	books := Books{Took: took, Providers: map[string]Account{}}
	skipped, published, err := w.readBack(ctx, since.lastSeq)
	if err != nil {
		return Books{}, err
	}
	books.Published = published
	report := w.Sandbox.Report()
	for name, part := range map[string]sandbox.ProviderReport{event.CleverTap: report.CleverTap, event.Courier: report.Courier} {
		dead, err := dlq.CountByCode(ctx, w.JS, name)
		if err != nil {
			return Books{}, err
		}
		for code, before := range since.dead[name] {
			if dead[code] -= before; dead[code] == 0 {
				delete(dead, code)
			}
		}
		waiting, err := w.waiting(ctx, name, 0)
		if err != nil {
			return Books{}, err
		}
		old := since.sandbox[name]
		account := Account{
			Delivered: part.Accepted - part.Repeated - old.Accepted + old.Repeated, Repeated: part.Repeated - old.Repeated,
			Skipped: skipped[name], Dead: dead, Refused: map[string]int{}, Waiting: waiting,
			Calls: part.Calls - old.Calls, PeakOpen: part.PeakOpen, Records: part.Records - old.Records,
		}
		for code, n := range part.Refused {
			if n -= old.Refused[code]; n > 0 {
				account.Refused[code] = n
			}
		}
		books.Providers[name] = account
	}
	return books, nil
}

// readBack reads the events of this load from the stream, as any other reader
// could, and counts those that a provider is not meant to have.
func (w *World) readBack(ctx context.Context, after uint64) (skipped map[string]int, published int, err error) {
	skipped = map[string]int{}
	stream, err := w.JS.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return nil, 0, err
	}
	info := stream.CachedInfo()
	if info.State.LastSeq <= after {
		return skipped, 0, nil
	}
	reader, err := w.JS.OrderedConsumer(ctx, consumer.EventsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{consumer.EventsSubject}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1})
	if err != nil {
		return nil, 0, err
	}
	for {
		message, err := reader.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			return nil, 0, fmt.Errorf("read the events back: %w", err)
		}
		published++
		if ev, err := event.Decode(message.Data()); err == nil {
			for _, name := range event.Providers() {
				if route, err := ev.Route(name); err == nil && route == event.Skip {
					skipped[name]++
				}
			}
		}
		if meta, err := message.Metadata(); err != nil || meta.NumPending == 0 {
			return skipped, published, err
		}
	}
}

// Problems says where the books do not balance; nothing when they do.
func (b Books) Problems() []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(b.Providers)) {
		a := b.Providers[name]
		if sum := a.Delivered + a.dead() + a.Skipped; sum != b.Published || a.Waiting != 0 {
			problems = append(problems, fmt.Sprintf("%s: %d published, but %d delivered + %d dead + %d skipped = %d, %d waiting",
				name, b.Published, a.Delivered, a.dead(), a.Skipped, sum, a.Waiting))
		}
		for code, refused := range a.Refused {
			letters := a.Dead[code]
			if name == event.Courier {
				letters = a.Dead["http_"+code]
			}
			if letters != uint64(refused) {
				problems = append(problems, fmt.Sprintf("%s: %d records refused with %s, but %d letters", name, refused, code, letters))
			}
		}
	}
	return problems
}

// Print shows the books to a person.
func (b Books) Print(out io.Writer) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	line("%d events published, settled in %s", b.Published, b.Took.Round(10*time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(b.Providers)) {
		a := b.Providers[name]
		line("  %-10s delivered %6d   dead %4d   skipped %5d   waiting %d", name, a.Delivered, a.dead(), a.Skipped, a.Waiting)
		perCall := "-"
		if a.Calls > 0 {
			perCall = strconv.FormatFloat(float64(a.Records)/float64(a.Calls), 'f', 1, 64)
		}
		line("  %-10s calls %d, records a call %s, most open at once %d, %.0f tokens/s, repeated %d", "",
			a.Calls, perCall, a.PeakOpen, float64(a.Delivered)/b.Took.Seconds(), a.Repeated)
		if len(a.Dead) > 0 {
			var codes []string
			for _, code := range slices.Sorted(maps.Keys(a.Dead)) {
				codes = append(codes, fmt.Sprintf("%s %d", code, a.Dead[code]))
			}
			line("  %-10s dead by code: %s", "", strings.Join(codes, ", "))
		}
	}
	problems := b.Problems()
	if len(problems) == 0 {
		line("The books balance: at each provider, published = delivered + dead + skipped, counted at the sandbox and in the streams.")
		return
	}
	line("THE BOOKS DO NOT BALANCE:")
	for _, problem := range problems {
		line("  %s", problem)
	}
}
