package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
)

// patience bounds one delivery of the backlog.
const patience = 10 * time.Minute

// stage is the broker with the backlog and the provider.
type stage struct {
	dir              string
	broker, provider *servant
	conn             *nats.Conn
	js               jetstream.JetStream
	stored           int
}

func openStage(ctx context.Context, dir string) (st *stage, err error) {
	st = &stage{dir: dir}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if st.broker, err = startServant(ctx, brokerRole, filepath.Join(dir, "jetstream")); err != nil {
		return nil, err
	}
	if st.provider, err = startServant(ctx, providerRole); err != nil {
		return nil, err
	}
	if st.conn, err = nats.Connect(st.broker.url); err != nil {
		return nil, err
	}
	if st.js, err = jetstream.New(st.conn, jetstream.WithPublishAsyncMaxPending(1000)); err != nil {
		return nil, err
	}
	_, err = consumer.Ensure(ctx, st.js, consumer.Topology{Provision: true})
	return st, err
}

func (st *stage) close() {
	if st.conn != nil {
		st.conn.Close()
	}
	for _, s := range []*servant{st.provider, st.broker} {
		if s != nil {
			s.end()
		}
	}
}

// store fills the backlog up to that many events.
func (st *stage) store(ctx context.Context, events int, out io.Writer) error {
	began, bytes := time.Now(), 0
	if events < st.stored {
		if err := st.js.DeleteStream(ctx, consumer.EventsStream); err != nil {
			return err
		}
		st.stored = 0
		if _, err := consumer.Ensure(ctx, st.js, consumer.Topology{Provision: true}); err != nil {
			return err
		}
	}
	added := events - st.stored
	for ; st.stored < events; st.stored++ {
		ev := sample(st.stored)
		data, err := ev.Encode()
		if err != nil {
			return err
		}
		bytes += len(data)
		if _, err := st.js.PublishAsync(consumer.EventsSubject, data, jetstream.WithStallWait(patience)); err != nil {
			return fmt.Errorf("store the backlog: %w", err)
		}
	}
	select {
	case <-st.js.PublishAsyncComplete():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	stream, err := st.js.Stream(ctx, consumer.EventsStream)
	if err != nil {
		return err
	}
	if got := stream.CachedInfo().State.Msgs; got != uint64(events) {
		return fmt.Errorf("store the backlog: %d events are there, want %d", got, events)
	}
	if added > 0 {
		_, _ = fmt.Fprintf(out, "\nbacklog: %d events; %d of them, of %d bytes, stored in %.1f s\n",
			events, added, bytes/added, time.Since(began).Seconds())
	}
	return nil
}

// measure lets a contender deliver the whole backlog to the providers, from a
// consumer that has delivered nothing yet.
func (st *stage) measure(ctx context.Context, c contender, providers ...string) (f figures, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s to %s: %w", c.name, strings.Join(providers, " and "), err)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not done after %s", patience))
	defer cancel()
	if err := st.reset(ctx, providers); err != nil {
		return figures{}, err
	}
	logPath := filepath.Join(st.dir, c.name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return figures{}, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, c.binary)
	cmd.Stdout, cmd.Stderr = log, log
	c.prepare(cmd, st, providers)
	p, err := startProcess(cmd)
	if err != nil {
		return figures{}, err
	}
	defer p.kill()
	withLog := func(err error) error { return fmt.Errorf("%w; its log ends with:\n%s", err, tail(logPath)) }
	reports, err := st.await(ctx, p)
	if err != nil {
		return figures{}, withLog(err)
	}
	if f.cpu, f.peak, err = p.stop(ctx); err != nil {
		return figures{}, withLog(err)
	}
	if err := f.add(reports, st.stored); err != nil {
		return figures{}, err
	}
	return f, st.settled(ctx, c, providers)
}

// add takes over what the provider counted.
func (f *figures) add(reports map[string]report, events int) error {
	var first, last int64
	for name, r := range reports {
		if r.Unknown > 0 {
			return fmt.Errorf("%d tokens at %s that nobody published", r.Unknown, name)
		}
		if first == 0 || r.First < first {
			first = r.First
		}
		last = max(last, r.Last)
		f.tokens += events
		f.calls += r.Calls
		f.repeated += r.Repeated
	}
	f.took = time.Duration(last - first)
	return nil
}

// reset removes the consumers, and the floors that new ones would begin from,
// and begins a new count.
func (st *stage) reset(ctx context.Context, providers []string) error {
	bucket, err := st.js.KeyValue(ctx, consumer.FleetBucket)
	if err != nil {
		return err
	}
	for _, provider := range []string{"clevertap", "courier"} {
		for _, name := range []string{provider, "loop-" + provider} {
			err := st.js.DeleteConsumer(ctx, consumer.EventsStream, name)
			if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return err
			}
		}
		if err := removeKey(ctx, bucket, consumer.FloorKey(provider)); err != nil {
			return err
		}
	}
	query := url.Values{"events": {strconv.Itoa(st.stored)}, "provider": providers}
	return st.ask(ctx, "/expect?"+query.Encode(), nil)
}

// removeKey leaves a bucket that never had the key as it is: one that holds
// anything but permits makes a worker wait a lease before it takes any.
func removeKey(ctx context.Context, bucket jetstream.KeyValue, key string) error {
	_, err := bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return bucket.Purge(ctx, key)
}

// await returns when the provider has seen every event, or the process ends.
func (st *stage) await(ctx context.Context, p *process) (map[string]report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.ended:
			cancel(errors.New("it ended before everything was delivered"))
		case <-ctx.Done():
		}
	}()
	var reports map[string]report
	err := st.ask(ctx, "/await", &reports)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return reports, err
}

func (st *stage) ask(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.provider.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the provider answers %s", resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// ackTime is how long the server may take over the last acks: it takes them in
// after the one who sent them has gone.
const ackTime = 10 * time.Second

// settled checks that every event was acknowledged too.
func (st *stage) settled(ctx context.Context, c contender, providers []string) error {
	for _, provider := range providers {
		cons, err := st.js.Consumer(ctx, consumer.EventsStream, c.consumer+provider)
		if err != nil {
			return err
		}
		info, asked := cons.CachedInfo(), time.Now()
		for int(info.NumPending)+info.NumAckPending > 0 && time.Since(asked) < ackTime {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if info, err = cons.Info(ctx); err != nil {
				return err
			}
		}
		if left := int(info.NumPending) + info.NumAckPending; left > 0 {
			return fmt.Errorf("%d events are not acknowledged", left)
		}
	}
	return nil
}

// tail is the end of a log, for an error.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}
