package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// The streams, as docs/publishing.md names them.
const (
	eventStream  = "TOKENS"
	letterStream = "TOKENS_DLQ"
	fleetBucket  = "TOKENS_FLEET"
)

// cap is how many CleverTap calls may be open.
const callCap = 3

// watch looks at a stack from outside: its streams and its sandbox.
type watch struct {
	stack   *stack
	conn    *nats.Conn
	js      jetstream.JetStream
	traffic *traffic
	ledger  *ledger

	events, letters uint64         // read so far
	records         map[string]int // read so far, by provider
	repeated        int            // at the last look
}

// newWatch connects to the brokers at these ports and begins to publish.
func newWatch(ctx context.Context, s *stack, ports ...string) (*watch, error) {
	var urls []string
	for _, port := range ports {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", s.ports[port]))
	}
	conn, err := nats.Connect(strings.Join(urls, ","), nats.Name("drill"), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond),
		nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &watch{stack: s, conn: conn, js: js, traffic: startTraffic(ctx, js), ledger: newLedger(), records: map[string]int{}}, nil
}

func (w *watch) close() {
	w.traffic.stop()
	w.conn.Close()
}

// asking bounds one question to the broker, which may be away.
const asking = 5 * time.Second

// last is the place of the newest message of a stream.
func (w *watch) last(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	is, err := w.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return is.CachedInfo().State.LastSeq, nil
}

// settled tells whether every provider has settled all events up to a place.
func (w *watch) settled(ctx context.Context, place uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	for _, provider := range event.Providers() {
		consumer, err := w.js.Consumer(ctx, eventStream, provider)
		if err != nil {
			return false, err
		}
		if floor := consumer.CachedInfo().AckFloor.Stream; floor < place {
			return false, fmt.Errorf("%s has settled %d of %d events", provider, floor, place)
		}
	}
	return true, nil
}

// look fills the ledger. What comes out is read before what went in, so that
// nothing is found that has no event yet.
func (w *watch) look(ctx context.Context) error {
	for _, provider := range event.Providers() {
		if err := w.readRecords(ctx, provider); err != nil {
			return err
		}
	}
	if err := w.readStream(ctx, letterStream, &w.letters, w.enterLetter); err != nil {
		return err
	}
	return w.readStream(ctx, eventStream, &w.events, func(m jetstream.Msg, place uint64) error {
		w.ledger.enter(place, m.Data())
		return nil
	})
}

func (w *watch) enterLetter(m jetstream.Msg, _ uint64) error {
	origin, err := strconv.ParseUint(m.Headers().Get("Dlq-Origin-Seq"), 10, 64)
	if err != nil {
		return fmt.Errorf("a letter at %s: Dlq-Origin-Seq: %w", m.Subject(), err)
	}
	of := w.ledger.letters[m.Headers().Get("Dlq-Provider")]
	of[origin] = append(of[origin], m.Headers().Get("Dlq-Code"))
	return nil
}

// readStream hands over the messages after done, in order, and moves it.
func (w *watch) readStream(ctx context.Context, name string, done *uint64, take func(jetstream.Msg, uint64) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	last, err := w.last(ctx, name)
	if err != nil || last <= *done {
		return err
	}
	reader, err := w.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *done + 1})
	if err != nil {
		return err
	}
	messages, err := reader.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for *done < last {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		is, err := m.Metadata()
		if err == nil {
			err = take(m, is.Sequence.Stream)
		}
		if err != nil {
			return err
		}
		*done = is.Sequence.Stream
	}
	return nil
}

// readRecords reads what the sandbox accepted since the last look.
func (w *watch) readRecords(ctx context.Context, provider string) error {
	body, err := w.sandbox(ctx, fmt.Sprintf("accepted?provider=%s&after=%d", provider, w.records[provider]))
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r sandbox.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		w.ledger.accepted[provider][record{r.Identity, r.Token}]++
		w.records[provider] = r.Seq
	}
	return lines.Err()
}

// report is what the drill reads of the sandbox's.
type report struct {
	CleverTap sandbox.ProviderReport
	Courier   sandbox.ProviderReport
}

func (w *watch) report(ctx context.Context) (r report, err error) {
	body, err := w.sandbox(ctx, "report")
	if err != nil {
		return r, err
	}
	defer body.Close()
	return r, json.NewDecoder(body).Decode(&r)
}

func (w *watch) sandbox(ctx context.Context, page string) (io.ReadCloser, error) {
	return get(ctx, fmt.Sprintf("http://127.0.0.1:%d/sandbox/%s", w.stack.ports["SANDBOX_PORT"], page))
}

// get is the body of a page that is there.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", url, response.Status), response.Body.Close())
	}
	return response.Body, nil
}
