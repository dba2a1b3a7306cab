package erase_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/erase"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker with the declared streams.
type world struct {
	t  *testing.T
	js jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	js := brokertest.New(t).JS
	if _, err := consumer.Ensure(t.Context(), js, consumer.Topology{Provision: true, Providers: event.Providers()}); err != nil {
		t.Fatal(err)
	}
	return &world{t, js}
}

// put stores a message with a header, "Name: value" or "".
func (w *world) put(subject, header, body string) {
	w.t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	if name, value, some := strings.Cut(header, ": "); some {
		m.Header.Set(name, value)
	}
	if _, err := w.js.PublishMsg(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) eraser(person erase.Person) *erase.Eraser {
	w.t.Helper()
	letters, err := dlq.Open(w.t.Context(), w.js)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := erase.New(w.t.Context(), w.js, letters, person)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// left are the bodies and headers of a stream.
func (w *world) left(name string) string {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	var all strings.Builder
	for seq := range stream.CachedInfo().State.LastSeq {
		if m, err := stream.GetMsg(w.t.Context(), seq+1); err == nil {
			fmt.Fprintf(&all, "%s %v\n", m.Data, m.Header)
		}
	}
	return all.String()
}

// What is no valid event may still be a person's, in whatever form.
func TestErasesFromWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	theirs := []string{
		`{'user_id': 'gdpranna', 'token': 'bad-x'}`,
		`{"token": NaN, "user_id": "gdpr\u0061nna"}`,
		`{"user_id":["gdpranna"],"token":"t"}`,
		`user_id=gdpranna&token=abc`,
		`{"event":{"user_id":"gdpranna"}}`,
		`{"user_id":"gdpranna`,
		`{"token":"t","type":"fcm","object_id":"gdpranna-object","user_id":"x"}`,
		`{"token":7,"object_id":"gdpranna-object"}`,
	}
	others := []string{
		`{'user_id': 'gdprannabel', 'token': 'bad-x'}`,
		`user_id=gdprannabel&token=gdpranna-2`,
		`{"token":"t","type":"fcm","user_id":"bob","properties":{"friend":"gdpranna"}}`,
		`{"token":"gdpranna","type":"fcm","user_id":"bob"}`,
	}
	w := newWorld(t)
	for _, subject := range []string{consumer.EventsSubject, dlq.Subject("courier", "invalid_event")} {
		for _, body := range append(theirs, others...) {
			w.put(subject, "", body)
		}
		w.put(subject, "X-User: gdpranna", "no event at all")
		w.put(subject, "X-User: gdpranna", `{"token":"t","type":"fcm","user_id":"bob"}`)
	}
	e := w.eraser(erase.Person{User: "gdpranna", Object: "gdpranna-object"})
	found, err := e.Look(t.Context())
	if err != nil || found.Letters != 9 || found.Events != 9 || found.Searched != 2*10 {
		t.Errorf("found %+v, %v", found, err)
	}
	last := 0
	done, err := e.Remove(t.Context(), func(n erase.Counts) { last = n.Letters + n.Events })
	if err != nil || done.Letters != 9 || done.Events != 9 || done.Searched != 2*10 || last != 18 {
		t.Errorf("removed %+v, reported %d, %v", done, last, err)
	}
	for _, stream := range []string{consumer.EventsStream, dlq.Stream} {
		all := w.left(stream)
		for _, body := range theirs {
			if strings.Contains(all, body) {
				t.Errorf("%s still has %s", stream, body)
			}
		}
		for _, body := range others {
			if !strings.Contains(all, body) {
				t.Errorf("%s has lost %s, which is another's", stream, body)
			}
		}
	}
}

// Without the events' stream the letters go, and it is said.
func TestErasesLettersWithoutTheEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(dlq.Subject("courier", "http_400"), "", `{"token":"t","type":"fcm","user_id":"ann"}`)
	w.put(dlq.Subject("courier", "http_400"), "", `{"token":"t","type":"fcm","user_id":"bob"}`)
	if err := w.js.DeleteStream(t.Context(), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	missing := func(err error) bool {
		return errors.Is(err, jetstream.ErrStreamNotFound) && strings.Contains(err.Error(), "stream TOKENS is missing, so events were not looked at")
	}
	e := w.eraser(erase.Person{User: "ann"})
	if found, err := e.Look(t.Context()); err != nil || found.Letters != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	if done, err := e.Remove(t.Context(), func(erase.Counts) {}); !missing(err) || done.Letters != 1 {
		t.Errorf("removed %+v, %v", done, err)
	}
	if found, err := e.Look(t.Context()); !missing(err) || found.Letters != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	if all := w.left(dlq.Stream); strings.Contains(all, "ann") || !strings.Contains(all, "bob") {
		t.Errorf("left %s", all)
	}
}

func TestErasesSomebody(t *testing.T) {
	t.Parallel()
	if _, err := erase.New(context.Background(), nil, nil, erase.Person{}); err == nil {
		t.Error("nobody can be erased")
	}
}
