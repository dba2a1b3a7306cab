package dlq

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stream is the dead-letter stream's name.
const Stream = "TOKENS_DLQ"

// Writer stores letters. It is safe for concurrent use.
type Writer struct {
	js     jetstream.JetStream
	remake func(context.Context) error
	making sync.Mutex
}

// NewWriter writes to the stream TOKENS_DLQ of js. When that is gone, remake
// is asked to make it again; nil: nobody does.
func NewWriter(js jetstream.JetStream, remake func(context.Context) error) *Writer {
	return &Writer{js: js, remake: remake}
}

// Put returns nil only when the stream has confirmed the letter, or had
// confirmed this very one before and still has it. After an error the event
// must not be acknowledged.
func (w *Writer) Put(ctx context.Context, letter *Letter) error {
	message := letter.message(true)
	ack, err := w.publish(ctx, message)
	if tooLarge(err) {
		message = letter.message(false)
		ack, err = w.publish(ctx, message)
	}
	if err != nil && w.remade(ctx) {
		ack, err = w.publish(ctx, message)
	}
	if err != nil {
		return fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	if !ack.Duplicate {
		return nil
	}
	stored, err := w.stored(ctx, ack.Sequence, message.Header.Get(HeaderID))
	if err != nil || stored {
		return err
	}
	// The id is remembered, the letter is gone (purged or replayed): the
	// stream would answer "duplicate" and store nothing for an hour.
	message.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s:%d", letter.messageID(), letter.FailedAt.UnixNano()))
	if _, err = w.publish(ctx, message); err != nil {
		return fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	return nil
}

// remade reports whether the stream was missing and is there now.
func (w *Writer) remade(ctx context.Context) bool {
	if w.remake == nil {
		return false
	}
	w.making.Lock() // every letter that waits finds the same
	defer w.making.Unlock()
	_, err := w.js.Stream(ctx, Stream)
	return errors.Is(err, jetstream.ErrStreamNotFound) && w.remake(ctx) == nil
}

// publish asks the answer, not the message, for the stream: an expectation in
// a header would be stored with the letter and refuse every copy of it.
func (w *Writer) publish(ctx context.Context, message *nats.Msg) (*jetstream.PubAck, error) {
	ack, err := w.js.PublishMsg(ctx, message)
	if err == nil && ack.Stream != Stream {
		return nil, fmt.Errorf("letters arrive at stream %s instead", ack.Stream)
	}
	return ack, err
}

// stored looks whether the letter that made this one a duplicate is there.
func (w *Writer) stored(ctx context.Context, sequence uint64, id string) (bool, error) {
	stream, err := w.js.Stream(ctx, Stream)
	if err != nil {
		return false, fmt.Errorf("dead-letter stream %s: %w", Stream, err)
	}
	message, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("dead-letter stream %s: read letter %d: %w", Stream, sequence, err)
	}
	return message.Header.Get(HeaderID) == id, nil
}

// tooLarge is the client's or the stream's word for it.
func tooLarge(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) ||
		errors.As(err, &refused) && (refused.ErrorCode == 10054 || refused.ErrorCode == 10097) // 10097: the headers
}
