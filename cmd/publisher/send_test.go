package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

func TestSendFlags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := []string{"send", "--id=mine", "--token=SECRET-token-1", "--type=chrome", "--user-id=SECRET-u", "--object-id=SECRET-o",
		"--keys-p256dh=BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds",
		"--keys-auth=5I2Bu2oKdyy9CwL8QVF0NQ", "--provider-key=k", `--properties={"a":1}`, "--expiry-date=false",
		"--destination=courier", "--destination=clevertap", "--registered-at=2026-01-31T12:00:00Z",
		"--device-app-id=a", "--device-ad-id=b", "--device-device-id=c", "--device-platform=d", "--device-manufacturer=e", "--device-model=f",
		"--tracking-os-version=1", "--tracking-ip=203.0.113.1", "--tracking-lat=2", "--tracking-long=3"}
	w.run(bounded(t), "ignored", all...).want(t, 0, "stored: stream TOKENS, sequence 1, id mine\n")
	w.run(bounded(t), "", all...).want(t, 0, "duplicate, stored before: stream TOKENS, sequence 1, id mine\n")
	w.run(bounded(t), "", append(all, "--id=other", "--to=courier", "--expiry-date=2030-01-31")...).want(t, 0, "sequence 2, id other")
	stored := w.stored(t)
	var got, want any
	_ = json.Unmarshal(stored[0].Data(), &got)
	_ = json.Unmarshal([]byte(`{"id":"mine","user_id":"SECRET-u","object_id":"SECRET-o","token":"SECRET-token-1","type":"chrome",
		"keys":{"p256dh":"BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds","auth":"5I2Bu2oKdyy9CwL8QVF0NQ"},
		"provider_key":"k","device":{"app_id":"a","ad_id":"b","device_id":"c","platform":"d","manufacturer":"e","model":"f"},
		"tracking":{"os_version":"1","ip":"203.0.113.1","lat":"2","long":"3"},"properties":{"a":1},
		"expiry_date":false,"destinations":["courier","clevertap"],"registered_at":"2026-01-31T12:00:00Z"}`), &want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("stored\n%v\nwant\n%v", got, want)
	}
	if len(stored) != 2 || stored[1].Subject() != "tokens.registered.courier" || !strings.Contains(string(stored[1].Data()), `"expiry_date":"2030-01-31"`) {
		t.Errorf("stored %d, the last on %s", len(stored), stored[len(stored)-1].Subject())
	}
}

func TestSendStandardInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run(bounded(t), jsonLines(1, 1), "send")
	r.want(t, 0)
	if !regexp.MustCompile(`^stored: stream TOKENS, sequence 1, id [A-Z2-7]{26}\n$`).MatchString(r.stdout) {
		t.Errorf("output %q", r.stdout)
	}
	w.once(t, 1)
	for input, want := range map[string]string{
		"":                           "standard input: invalid event: event: ",
		"SECRET":                     "standard input: invalid event: event: ",
		`{"token":7}`:                "standard input: invalid event: token: ",
		strings.Repeat("x", 100_000): "standard input: invalid event: event: ",
		`{"token":"SECRET"}`:         "publisher: invalid event: destinations: ",
	} {
		w.run(bounded(t), input, "send").want(t, 1, want)
	}
}

func TestSendRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(bounded(t), "", "send", "--token=SECRET", "--type=pigeon").want(t, 1, "publisher: invalid event: type: ")
	w.run(bounded(t), "", "send", "--token=SECRET", "--type=fcm", "--object-id=SECRET", `--properties={"a"`).want(t, 1, "invalid event: properties: ")
	w.run(bounded(t), "", "send", "--timeout=0s", "--to=nobody", "--token=SECRET").want(t, 2, "--timeout", "--to")
	w.run(bounded(t), "", "send", "--colour=SECRET").want(t, 2, "--colour")
	if code := run(bounded(t), []string{"send"}, nil, strings.NewReader(""), new(strings.Builder), new(strings.Builder)); code != 2 {
		t.Errorf("without NATS_URL: exit code %d", code)
	}
	if err := w.JS.DeleteStream(bounded(t), consumer.EventsStream); err != nil {
		t.Fatal(err)
	}
	w.run(bounded(t), jsonLines(1, 1), "send", "--timeout=200ms").want(t, 1, "no stream listens on the subject")
	if _, err := w.Conn.SubscribeSync("tokens.registered"); err != nil { // who never answers
		t.Fatal(err)
	}
	if err := w.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	w.run(bounded(t), "", "send", "--id=mine", "--token=SECRET", "--type=fcm", "--object-id=o", "--timeout=200ms").
		want(t, 1, "publisher: not confirmed: ", "publish it again with the same id", ": --id mine\n")
	w.Stop()
	w.run(bounded(t), jsonLines(1, 1), "send").want(t, 1, "publisher: NATS_URL: ", "connection refused")
}

// settler plays the workers of one provider: it reports, and acknowledges.
func (w *world) settler(t testing.TB, provider string, each func(jetstream.Msg)) {
	t.Helper()
	// Without the priorities of the real one, which nothing here is about.
	durable, err := w.JS.CreateConsumer(bounded(t), consumer.EventsStream, jetstream.ConsumerConfig{
		Durable:        provider,
		FilterSubjects: []string{consumer.EventsSubject, consumer.ProviderSubject(provider)},
		AckPolicy:      jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	if each == nil {
		return
	}
	consuming, err := durable.Consume(each)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		consuming.Drain()
		<-consuming.Closed()
	})
}

// report settles a message with an outcome.
func (w *world) report(m jetstream.Msg, provider, outcome, code, reason string) {
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	ev, _ := event.Decode(m.Data())
	data, _ := json.Marshal(map[string]any{"id": ev.ID, "stream_seq": meta.Sequence.Stream, "provider": provider, "outcome": outcome, "code": code, "reason": reason})
	_ = w.Conn.Publish(m.Headers().Get("Outcome-Reply"), data)
	_ = m.Ack()
}

// letter puts a letter as a worker does.
func (w *world) letter(t testing.TB, provider, code string, origin uint64) {
	t.Helper()
	m := nats.NewMsg("tokens.dlq." + provider + "." + code)
	m.Header.Set("Dlq-Origin-Stream", "TOKENS")
	m.Header.Set("Dlq-Origin-Seq", fmt.Sprint(origin))
	m.Header.Set("Dlq-Code", code)
	m.Header.Set("Dlq-Reason", "they said no")
	if _, err := w.JS.PublishMsg(bounded(t), m); err != nil {
		t.Fatal(err)
	}
}

func TestSendWaitsForReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settler(t, "clevertap", func(m jetstream.Msg) { w.report(m, "clevertap", "delivered", "", "") })
	w.settler(t, "courier", func(m jetstream.Msg) {
		w.report(m, "courier", "dead", "http_400", "they said no")
	})
	w.run(bounded(t), jsonLines(1, 1), "send", "--wait", "--timeout=1m").want(t, 1,
		"clevertap: delivered\n", "courier: dead: http_400: they said no\n", "publisher: not delivered to 1 of 2 providers\n")
	w.run(bounded(t), "", "send", "--wait", "--timeout=1m", "--token=SECRET", "--type=fcm", "--object-id=o").want(t, 0, "clevertap: delivered\n")
	w.run(bounded(t), jsonLines(1, 1), "send", "--wait", "--timeout=1m", "--to=clevertap").want(t, 0, "clevertap: delivered\n")
}

// Workers that settle without a word: the streams tell.
func TestSendWaitsAndLooksIntoTheStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	settled := make(chan struct{}, 1)
	w.settler(t, "clevertap", func(m jetstream.Msg) {
		_ = m.DoubleAck(context.Background())
		settled <- struct{}{}
	})
	w.settler(t, "courier", func(m jetstream.Msg) {})
	send := []string{"send", "--wait", "--id=mine", "--token=SECRET", "--type=fcm", "--object-id=o", "--user-id=u", "--timeout=200ms"}
	w.run(bounded(t), "", send...).want(t, 1, "courier: still waiting: a worker has taken it, and not settled it yet or without a report\n")
	<-settled
	// Nobody reports on a duplicate: what is known is said at once.
	again := slices.Concat(send, []string{"--timeout=1m"})
	w.run(bounded(t), "", again...).want(t, 1, "duplicate, stored before",
		"clevertap: delivered (settled, and there is no letter)\n", "courier: still waiting: a worker has taken it, and not settled it yet or without a report\n", "not delivered to 1 of 2")
	w.letter(t, "courier", "http_404", 7) // another event's
	w.run(bounded(t), "", again...).want(t, 1, "courier: still waiting")
	w.letter(t, "courier", "http_400", 1)
	w.run(bounded(t), "", again...).want(t, 1, "clevertap: delivered", "courier: dead: http_400: they said no\n")
}

func TestSendWaitsForNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settler(t, "courier", nil) // a consumer, and no worker
	w.run(bounded(t), jsonLines(1, 1), "send", "--wait", "--timeout=200ms").want(t, 1,
		"clevertap: still waiting: no worker has ever run for this provider (no consumer clevertap)\n",
		"courier: still waiting: no worker has taken it yet, 1 events are unread\n",
		"not delivered to 2 of 2 providers")
	ctx, stop := context.WithCancel(bounded(t))
	ended := make(chan ran)
	go func() { ended <- w.run(ctx, jsonLines(2, 2), "send", "--wait", "--timeout=1m") }()
	until(t, "it is stored", func() bool { return w.count(t) == 2 })
	stop()
	r := <-ended
	if r.code != 1 {
		t.Errorf("stopped: %+v", r)
	}
	r.private(t)
}
