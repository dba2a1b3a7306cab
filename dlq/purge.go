package dlq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// removeTime is how long a removal may take that the broker was asked for.
const removeTime = 15 * time.Second

// Finishing is the context of a removal that is under way when its work is
// stopped: what the broker was asked for is done, so it is waited for and
// counted. It ends with ctx only when that ended because the broker refuses.
func Finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	listening := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), nats.ErrPermissionViolation) {
			cancel()
		}
	})
	return finishing, func() { listening(); cancel() }
}

// removals is how many letters are removed at a time: 32 take a fourth of the
// time of one after the other.
const removals = 32

// Remove removes the letter at a place; ErrGone when somebody was faster.
func (r *Reader) Remove(ctx context.Context, seq uint64) error {
	return r.removed(ctx, seq, r.stream.DeleteMsg(ctx, seq))
}

// Erase is Remove that also overwrites the letter on the broker's disk. It is
// slow: some hundred a second.
func (r *Reader) Erase(ctx context.Context, seq uint64) error {
	return r.removed(ctx, seq, r.stream.SecureDeleteMsg(ctx, seq))
}

// removed looks what a failed removal was about: the server says the same of
// a letter that is not there as of a disk that is full.
func (r *Reader) removed(ctx context.Context, seq uint64, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, err := r.Get(ctx, seq); errors.Is(err, ErrGone) {
			return ErrGone
		}
	}
	return fmt.Errorf("dead-letter stream %s: remove letter %d: %w", Stream, seq, err)
}

// Purge removes the letters of a filter up to a place in the stream and
// returns how many it removed. It reports that number as it grows.
func (r *Reader) Purge(ctx context.Context, f Filter, through uint64, report func(removed int)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if through == 0 { // which the stream would take for no bound
		return 0, nil
	}
	if f.bySubject() {
		n, err := r.purge(ctx, f.subject(), through)
		report(n)
		return n, err
	}
	var removed atomic.Int64
	team, working := errgroup.WithContext(ctx)
	team.SetLimit(removals)
	remove := func(seq uint64) error {
		ctx, cancel := Finishing(ctx)
		defer cancel()
		return r.Remove(ctx, seq)
	}
	err := func() error {
		for l, err := range r.Letters(working, f, through, Headers) {
			if err != nil {
				return err
			}
			team.Go(func() error {
				err := remove(l.Seq)
				if err == nil {
					removed.Add(1)
				}
				if errors.Is(err, ErrGone) {
					return nil
				}
				return err
			})
			report(int(removed.Load()))
		}
		return nil
	}()
	if failed := team.Wait(); failed != nil && ctx.Err() == nil {
		err = failed // what ended the scan, too
	}
	report(int(removed.Load()))
	return int(removed.Load()), err
}

// purge lets the stream do it, 90 000 letters in some milliseconds. The
// client's own call does not tell how many there were.
func (r *Reader) purge(ctx context.Context, subject string, through uint64) (int, error) {
	order := jetstream.StreamPurgeRequest{Subject: subject}
	if through < End {
		order.Sequence = through + 1
	}
	body, err := json.Marshal(order)
	if err != nil {
		return 0, err
	}
	ctx, cancel := Finishing(ctx)
	defer cancel()
	reply, err := r.js.Conn().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.PURGE."+Stream, body)
	if err != nil {
		return 0, fmt.Errorf("dead-letter stream %s: purge: it is not known whether the letters were removed: %w", Stream, err)
	}
	var answer struct {
		Purged int                 `json:"purged"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, fmt.Errorf("dead-letter stream %s: purge: no answer of JetStream", Stream)
	}
	if answer.Error != nil {
		return 0, fmt.Errorf("dead-letter stream %s: purge: %w", Stream, answer.Error)
	}
	return answer.Purged, nil
}
