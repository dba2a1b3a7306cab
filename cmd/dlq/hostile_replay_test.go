package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
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

// store publishes a message with these headers and waits for a stream's word.
func (w *world) store(subject, body string, header nats.Header) uint64 {
	w.T.Helper()
	ack, err := w.Broker.JS.PublishMsg(w.T.Context(), &nats.Msg{Subject: subject, Data: []byte(body), Header: header})
	if err != nil {
		w.T.Fatal(err)
	}
	return ack.Sequence
}

// forge puts a letter into the stream as no worker would.
func (w *world) forge(name string, header nats.Header) {
	w.T.Helper()
	w.store(dlq.Subject(event.Courier, "http_400"), only(event.Courier, name), header)
}

// again puts a letter back where it was removed, as if the run that replayed it
// had been killed before.
func (w *world) again(l *dlq.Stored) {
	w.T.Helper()
	header := maps.Clone(l.Header)
	header.Del(jetstream.MsgIDHeader)
	w.store(dlq.Subject(l.Provider, l.Code), string(l.Body), header)
}

// refuseCourier lets every event die until the rules are cleared.
func (w *world) refuseCourier() {
	w.T.Helper()
	if err := w.Fake.SetRules(sandbox.Rule{Provider: event.Courier, Effect: sandbox.Refuse, Code: "400"}); err != nil {
		w.T.Fatal(err)
	}
}

// remaining checks how many letters there are.
func (w *world) remaining(want int) {
	w.T.Helper()
	if n := len(w.letters()); n != want {
		w.T.Errorf("%d letters are left, want %d", n, want)
	}
}

// What is wrong with one letter is told of that one, and the others go.
func TestReplayLeavesTheOneThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header nats.Header
		words  []string
	}{
		"an id with a control character": {nats.Header{dlq.HeaderID: {"app\u0085id"}}, []string{"the letter itself is wrong", "headers.Dlq-Id: white space at an end or a control character"}},
		"no generation":                  {nats.Header{dlq.HeaderID: {"x"}, dlq.HeaderGeneration: {"abc"}}, []string{"the letter itself is wrong, and not its event: export it", "headers.Dlq-Generation: must be a whole number"}},
		"too large":                      {nats.Header{dlq.HeaderID: {"x"}, dlq.HeaderHistory: {"[" + strings.Repeat(" ", 65_200) + "]"}, dlq.HeaderFirstFailedAt: {strings.Repeat("x", 200)}}, []string{"1 left: the broker did not take the replay (message too large)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			w.Worker()
			w.dead("ann", "bob")
			w.forge("eve", c.header)
			w.dead("cyd")
			done := w.dlq("", "replay", "--all", "--yes", "--trial", "0")
			done.want(t, 1, append(c.words, "4 letters: 3 replayed (3 delivered), 1 left")...)
			done.lacks(t, "correct it with", "dlq: ")
			w.once("ann", "bob", "cyd")
			w.remaining(1)
		})
	}
}

// Whoever publishes may give an event any Dlq-Id. What only has a letter's id
// takes nothing from it: both are delivered, and nothing twice.
func TestReplayOfForgedIDs(t *testing.T) {
	t.Parallel()
	forged := func(id string) nats.Header { return nats.Header{dlq.HeaderID: {id}, dlq.HeaderGeneration: {"1"}} }
	subject := consumer.ProviderSubject(event.Courier)
	for name, c := range map[string]struct {
		forge func(w *world, id string) // what dies beside the letter "ann"
		names []string
	}{
		"a later generation of another event": {func(w *world, id string) { w.store(subject, only(event.Courier, "eve"), forged(id)) }, []string{"ann", "eve"}},
		"the same, with the note of a change": {func(w *world, id string) {
			header := forged(id)
			header.Set(dlq.HeaderHistory, `[{"code":"http_400","at":"2026-01-01T00:00:00Z","edited":["event"]}]`)
			w.store(subject, only(event.Courier, "eve"), header)
		}, []string{"ann", "eve"}},
		"a generation of two events": {func(w *world, id string) {
			w.store(subject, only(event.Courier, "eve"), forged(id))
			w.store(subject, only(event.Courier, "fay"), forged(id))
		}, []string{"ann", "eve", "fay"}},
		"the message id of its replay": {func(w *world, id string) {
			header := forged(id)
			header.Set(jetstream.MsgIDHeader, "replay:"+id+":1")
			w.store(subject, only(event.Courier, "eve"), header)
		}, []string{"ann", "eve"}},
		"the message id of its replay, without more": {func(w *world, id string) {
			w.store(consumer.EventsSubject, only(event.Courier, "eve"), nats.Header{jetstream.MsgIDHeader: {"replay:" + id + ":1"}})
		}, []string{"ann", "eve"}},
		"the message id of its second replay": {func(w *world, id string) {
			w.store(subject, only(event.Courier, "eve"), nats.Header{jetstream.MsgIDHeader: {"replay:" + id + ":2"}, dlq.HeaderID: {id}, dlq.HeaderGeneration: {"1"}})
			w.store(subject, only(event.Courier, "fay"), forged(id))
		}, []string{"ann", "eve", "fay"}},
		"the message id of its second trial": {func(w *world, id string) {
			w.store(subject, only(event.Courier, "eve"), nats.Header{jetstream.MsgIDHeader: {"replay:" + id + ":1.1"}, dlq.HeaderID: {id}, dlq.HeaderGeneration: {"1"}, dlq.HeaderTrials: {"1"}})
		}, []string{"ann", "eve"}},
	} {
		for _, args := range [][]string{{"--trial", "0"}, {"--trial", "5"}} {
			t.Run(name+" "+args[1], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "PROVIDERS=courier")
				w.refuseCourier()
				w.Worker()
				w.settled(event.Courier, w.Put(only(event.Courier, "ann")))
				c.forge(w, w.letters()[0].ID)
				brokertest.Eventually(t, "they have died", func() bool { return len(w.letters()) == len(c.names) })
				w.Fake.ClearRules()
				w.dlq("", append([]string{"replay", "--all", "--yes", "--stale"}, args...)...).
					want(t, 0, fmt.Sprintf("%[1]d letters: %[1]d replayed (%[1]d delivered), 0 left", len(c.names)))
				w.once(c.names...)
				w.remaining(0)
			})
		}
	}
}

// Also a replay under its other id is recognised, when the run is killed.
func TestReplayUnderAnotherIDAfterACrash(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"within the window": false, "after the window": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			w.Worker()
			w.dead("ann")
			l := w.letters()[0]
			w.store(consumer.EventsSubject, only(event.CleverTap, "eve"), nats.Header{jetstream.MsgIDHeader: {"replay:" + l.ID + ":1"}})
			w.dlq("", "replay", "--all", "--yes").want(t, 0, "1 delivered")
			if forget {
				w.shortMemory()
				<-time.After(200 * time.Millisecond)
			}
			w.again(l)
			w.dlq("", "replay", "--all", "--yes").want(t, 0, "1 replayed already, by a run that was cut off", "0 replayed, 1 replayed before or by another run, 0 left")
			w.once("ann")
			w.remaining(0)
		})
	}
}

// A replay that was changed on its way is the letter's own, and so is the letter
// of one that died: the history notes the change.
func TestReplayRecognisesWhatItChanged(t *testing.T) {
	t.Parallel()
	set := []string{"replay", "--all", "--yes", "--trial", "0", "--set", "provider_key=apn", "--set", "device.platform=ios"}
	for name, c := range map[string]struct {
		dies bool
		args []string // of the next run
	}{
		"delivered, then replayed as it was":  {false, []string{"replay", "--all", "--yes"}},
		"delivered, then changed again":       {false, set},
		"delivered, then changed differently": {false, []string{"replay", "--all", "--yes", "--set", "provider_key=expo"}},
		"died, then replayed as it was":       {true, []string{"replay", "--all", "--yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			w.shortMemory()
			w.Worker()
			w.dead("ann")
			l := w.letters()[0]
			code, words := 0, []string{"1 replayed already", "0 replayed, 1 replayed before or by another run, 0 left"}
			if c.dies {
				w.refuseCourier()
				code, words = 1, []string{"1 replayed already", "1 replayed (1 delivered), 1 replayed before or by another run, 0 left"}
			}
			w.dlq("", set...).want(t, code, "1 replayed")
			w.Fake.ClearRules()
			<-time.After(200 * time.Millisecond) // longer than the stream remembers
			w.again(l)
			w.dlq("", c.args...).want(t, 0, words...)
			w.once("ann")
			w.remaining(0)
		})
	}
}

// answering answers a question after it has done something.
type answering struct {
	do   func()
	text *strings.Reader
}

func (a *answering) Read(b []byte) (int, error) {
	if a.do != nil {
		a.do()
		a.do = nil
	}
	return a.text.Read(b)
}

// A stream that was made anew has other letters at the same places.
func TestReplayOfAStreamThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{dlq.Stream, consumer.EventsStream} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "PROVIDERS=courier")
			w.dead("ann", "bob")
			meanwhile := func() {
				if err := w.Broker.JS.DeleteStream(t.Context(), stream); err != nil {
					t.Error(err)
				}
				if _, err := consumer.Ensure(t.Context(), w.Broker.JS, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
					t.Error(err)
				}
				if stream == dlq.Stream {
					w.dead("eve", "fay")
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var out, problems bytes.Buffer
			code := run(ctx, []string{"replay", "--all", "--trial", "0"}, w.Environment(), &answering{meanwhile, strings.NewReader("y\n")}, &out, &problems)
			done := ended{code, out.String(), problems.String()}
			done.want(t, 1, "dlq: stream "+stream+" was deleted and made anew since the letters were counted: nothing more is replayed; run it again", "2 letters: 0 replayed, 2 left")
			if strings.Count(done.errors, "dlq: ") != 1 {
				t.Errorf("%s", done.errors)
			}
			if n := w.stored(consumer.EventsSubject + ".>"); n != 0 {
				t.Errorf("%d replays", n)
			}
			w.remaining(2)
		})
	}
}

// A replay carries the app's own headers on, however often it dies.
func TestReplayCarriesHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "PROVIDERS=courier")
	w.refuseCourier()
	w.Worker()
	w.settled(event.Courier, w.store(consumer.EventsSubject, only(event.Courier, "ann"), nats.Header{"X-Trace": {"t1", "t2"}, "Nats-Msg-Id": {"login-7"}}))
	w.dlq("", "replay", "--all", "--yes", "--trial", "0").want(t, 1, "1 died again")
	l := w.letters()[0]
	if got := l.Header.Values("X-Trace"); l.Generation != 1 || len(got) != 2 || got[0] != "t1" {
		t.Errorf("generation %d: %q", l.Generation, l.Header)
	}
	w.Fake.ClearRules()
	w.dlq("", "replay", "--all", "--yes").want(t, 0, "1 delivered")
}
