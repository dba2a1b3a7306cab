package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/terminal"
	"github.com/tokenrelay/tokenrelay/publisher"
)

const (
	maxPending = 1024            // events sent and not confirmed
	ackWait    = 5 * time.Second // a slow disk under 1024 events is no lost answer
	giveUp     = time.Minute     // without the broker's word
	stopGrace  = 5 * time.Second // for what is under way when we are stopped

	markLines = 512                    // a place to go on from, at least so often
	markTime  = 200 * time.Millisecond //
	saveLines = 2048                   // the progress file is written, at least so often
	saveTime  = 250 * time.Millisecond //
	queued    = 1024                   // lines between reading and confirming

	// window is more events than can have been sent and not be covered by the
	// progress file.
	window = 8192
)

// A line more, and a crash could leave events that the next run does not look for.
const _ = uint(window - (saveLines + markLines + queued + 2))

// item is a line on its way from the reader to the confirmation.
type item struct {
	at       line // its text is not valid any more
	closed   bool
	pending  *publisher.Pending // nil when nothing was sent
	known    bool               // an earlier run has sent it
	rejected *reject
	mark     *mark // nil for most
}

// mark makes an item's end a place to go on from.
type mark struct {
	sum   []byte
	after uint64
	done  bool // the input ends here
	now   bool // nothing follows
}

var errStopped = errors.New("stopped")

// run publishes the rest of the input.
func (im *importer) run(ctx context.Context) error {
	if im.resumed != nil && im.resumed.Done && im.lines.offset == im.size {
		im.summary("imported before: ")
		return nil
	}
	if err := im.recover(ctx); err != nil {
		return err
	}
	im.began = time.Now()
	// Before anything is sent: a progress file that says where to look for it.
	im.at.Done = false
	if err := im.save(); err != nil {
		return err
	}
	// What is under way when we are stopped may still end well.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()

	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	acked := &atomic.Uint64{}
	acked.Store(im.at.After)
	items := make(chan item, queued)
	ended := make(chan error, 1)
	go func() {
		err := im.produce(reading, hard, acked, items)
		close(items)
		ended <- err
	}()
	show := newDisplay(im.std.err, terminal.Is(im.std.err), im.size, im.began)
	err := im.confirm(ctx, hard, acked, items, show)
	cancel()
	stopReading()
	if err == nil || im.file != nil { // a pipe's read may never end
		err = cmp.Or(err, <-ended)
	}
	show.end()
	if err != nil {
		return im.interrupted(err)
	}
	im.summary("imported: ")
	return nil
}

// produce reads lines and sends events, until the input ends or ctx does. What
// is being sent then is finished within hard.
func (im *importer) produce(ctx, hard context.Context, acked *atomic.Uint64, items chan<- item) error {
	put := func(it item) bool {
		select {
		case items <- it:
			return true
		case <-hard.Done():
			return false
		}
	}
	marked, markedAt := im.lines.number, time.Now()
	markNow := func() *mark {
		marked, markedAt = im.lines.number, time.Now()
		return &mark{sum: im.lines.digest(), after: acked.Load()}
	}
	here := func() item {
		return item{at: line{number: im.lines.number, end: im.lines.offset}, closed: im.lines.closed}
	}
	sent := false
	for {
		// The pace is kept before a line is read, so that a stop loses none.
		if sent && im.limit.Wait(ctx) != nil || ctx.Err() != nil {
			it := here()
			it.mark = markNow()
			it.mark.now = true
			put(it)
			return errStopped
		}
		l, err := im.lines.next()
		if errors.Is(err, io.EOF) {
			it := here()
			it.mark = markNow()
			it.mark.done, it.mark.now = true, true
			put(it)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", im.settings.File, err)
		}
		it := here()
		if err := im.handle(hard, l, &it); err != nil {
			if hard.Err() != nil {
				return errStopped
			}
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		sent = it.pending != nil
		if l.number-marked >= markLines || time.Since(markedAt) >= markTime {
			it.mark = markNow()
		}
		if !put(it) {
			return errStopped
		}
	}
}

// handle does with one line what is to be done with it.
func (im *importer) handle(ctx context.Context, l line, it *item) error {
	if l.tooLong {
		it.rejected = newReject(l.number, nil, &event.Violation{Field: "event", Problem: fmt.Sprintf("a line over %d bytes", maxLine)})
		return nil
	}
	if len(bytes.TrimSpace(l.text)) == 0 || l.number == im.header {
		return nil
	}
	if l.number == 1 && im.header == 0 && bytes.HasPrefix(bytes.TrimSpace(l.text), []byte{'['}) {
		return errors.New("a JSON array; JSON lines are needed, one event a line (jq -c '.[]' makes them)")
	}
	m, err := im.read(l.text, l.number)
	if err == nil {
		if len(im.known) > 0 && im.known[digestOf(m.id)] {
			it.known = true
			return nil
		}
		it.pending, err = im.publisher.PublishRawAsync(ctx, m.id, m.body, m.options...)
	}
	if v := violation(err); v != nil {
		it.rejected = newReject(l.number, l.text, v)
		return nil
	}
	return err
}

// confirm takes the lines in their order, each when the broker's word is
// there, and keeps the progress file. It gives up when hard is done.
func (im *importer) confirm(ctx, hard context.Context, acked *atomic.Uint64, items <-chan item, show *display) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	statuses := im.nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	defer im.nc.RemoveStatusListener(statuses)
	stopping := ctx.Done()
	var stuck <-chan time.Time
	var current item // waits for the broker's word when it has a pending
	for {
		next, done := items, (<-chan struct{})(nil)
		if current.pending != nil {
			next, done = nil, current.pending.Done()
		}
		select {
		case it, open := <-next:
			if !open {
				return nil
			}
			if it.pending != nil {
				current = it
				continue
			}
			if err := im.settle(it, acked); err != nil {
				return err
			}
		case <-done:
			if err := im.settle(current, acked); err != nil {
				return err
			}
			current = item{}
		case <-stopping:
			// A read from a terminal or a pipe may never end.
			stopping, stuck = nil, time.After(stopGrace/5)
		case <-stuck:
			if im.file == nil {
				return errStopped
			}
		case <-hard.Done():
			return errStopped
		case status := <-statuses:
			show.note(connection(status))
		case <-tick.C:
		}
		show.show(time.Now(), im.at)
	}
}

func connection(status nats.Status) string {
	if status == nats.CONNECTED {
		return "connection to NATS is back"
	}
	return fmt.Sprintf("connection to NATS lost; waiting for it, %s at most", giveUp)
}
